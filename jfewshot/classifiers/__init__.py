"""The classifiers: one file each, one contract (base.py).

sgd.py            the few-shot paper's: scikit-learn's SGDClassifier, step for step
sgd_many.py       its course on one episode of many supports
logistic.py       logistic regression, converged
logistic_many.py  its solver for one episode of many supports
logistic_spectral.py  its solver for one episode that chooses C
logistic_conjugate.py  its solver for one episode in a GPU's registers
ridge.py          ridge regression on the labels
centroid.py       nearest class mean
knn.py            nearest neighbours
svm.py            linear support vector machine, squared hinge
svm_many.py       its solver for one episode of many supports
kernels.py        a classifier on values of a kernel in place of inner products
auto.py           a classifier whose strength is chosen in each episode
leave_one_out.py  chooses strengths
tridiagonal.py    what that needs of a Gram matrix, at a third of the time of its eigenvectors
base.py           the contract between the evaluator and a classifier
linalg.py         small dense linear algebra for many episodes at once
rounding.py       how far a linear classifier's scores can be trusted
many_supports.py  what the solvers for many supports share
specs.py          from "logistic:C=0.1,1,10" to a classifier and its strengths
"""

from jfewshot.classifiers.base import Classifier, Diagnostics, Linear, Strength, Support
from jfewshot.classifiers.centroid import Centroid
from jfewshot.classifiers.knn import KNN
from jfewshot.classifiers.logistic import Logistic
from jfewshot.classifiers.ridge import Ridge
from jfewshot.classifiers.sgd import SGD
from jfewshot.classifiers.svm import SVM

# By the names that users write. A new classifier is one file and one line here.
CLASSIFIERS: dict[str, type[Classifier]] = {
    "sgd": SGD,
    "logistic": Logistic,
    "ridge": Ridge,
    "centroid": Centroid,
    "knn": KNN,
    "svm": SVM,
}

__all__ = [
    "CLASSIFIERS",
    "KNN",
    "SGD",
    "SVM",
    "Centroid",
    "Classifier",
    "Diagnostics",
    "Linear",
    "Logistic",
    "Ridge",
    "Strength",
    "Support",
]
