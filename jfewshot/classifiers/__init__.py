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
transductive.py   the contract of classifiers that look at all queries of an episode together
propagation.py    labels spread over a graph of supports and queries
sinkhorn.py       centroids and balanced assignments of the queries in turns
tim.py            centroids that maximise the information of the queries' classes (TIM)
alpha_tim.py      TIM for queries whose classes are not balanced
laplacian_shot.py  nearest class means, smoothed over a graph of the queries
auto.py           a classifier whose strength is chosen in each episode
leave_one_out.py  chooses strengths
tridiagonal.py    what that needs of a Gram matrix, at a third of the time of its eigenvectors
base.py           the contract between the evaluator and a classifier
linalg.py         small dense linear algebra for many episodes at once
calibration.py    from scores to probabilities: the temperature of each episode
rounding.py       how far a linear classifier's scores can be trusted
many_supports.py  what the solvers for many supports share
specs.py          from "logistic:C=0.1,1,10" to a classifier and its strengths
"""

from jfewshot.classifiers.alpha_tim import AlphaTIM
from jfewshot.classifiers.base import Classifier, Diagnostics, Linear, Strength, Support
from jfewshot.classifiers.centroid import Centroid
from jfewshot.classifiers.knn import KNN
from jfewshot.classifiers.laplacian_shot import LaplacianShot
from jfewshot.classifiers.logistic import Logistic
from jfewshot.classifiers.propagation import Propagation
from jfewshot.classifiers.ridge import Ridge
from jfewshot.classifiers.sgd import SGD
from jfewshot.classifiers.sinkhorn import Sinkhorn
from jfewshot.classifiers.svm import SVM
from jfewshot.classifiers.tim import TIM
from jfewshot.classifiers.transductive import Transductive

# By the names that users write. A new classifier is one file and one line here.
CLASSIFIERS: dict[str, type[Classifier]] = {
    "sgd": SGD,
    "logistic": Logistic,
    "ridge": Ridge,
    "centroid": Centroid,
    "knn": KNN,
    "svm": SVM,
}
# Those that look at all queries of an episode together, kept apart so that no code takes one for an inductive classifier.
TRANSDUCTIVE: dict[str, type[Transductive]] = {
    "propagation": Propagation,
    "sinkhorn": Sinkhorn,
    "tim": TIM,
    "alpha_tim": AlphaTIM,
    "laplacian_shot": LaplacianShot,
}

__all__ = [
    "CLASSIFIERS",
    "KNN",
    "SGD",
    "SVM",
    "TIM",
    "TRANSDUCTIVE",
    "AlphaTIM",
    "Centroid",
    "Classifier",
    "Diagnostics",
    "LaplacianShot",
    "Linear",
    "Logistic",
    "Propagation",
    "Ridge",
    "Sinkhorn",
    "Strength",
    "Support",
    "Transductive",
]
