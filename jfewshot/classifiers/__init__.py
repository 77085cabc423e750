"""The classifiers: one file for each classifier, with one common interface (base.py).

sgd.py            the few-shot paper's classifier: scikit-learn's SGDClassifier, with the same steps
sgd_many.py       its steps for one episode of many supports
logistic.py       logistic regression, converged
logistic_many.py  its solver for one episode of many supports
logistic_spectral.py  its solver for one episode that chooses C
logistic_conjugate.py  its solver for one episode in a GPU's registers
ridge.py          ridge regression on the labels
centroid.py       nearest class mean
knn.py            nearest neighbours
svm.py            linear support vector machine, squared hinge
svm_many.py       its solver for one episode of many supports
kernels.py        a classifier that gets kernel values instead of inner products
transductive.py   the interface of classifiers that use all queries of an episode together
propagation.py    labels spread over a graph of supports and queries
sinkhorn.py       alternates between balanced assignments of the queries and centroids
tim.py            centroids that maximise the information of the queries' classes (TIM)
alpha_tim.py      TIM for queries whose classes are not balanced
laplacian_shot.py  nearest class means, smoothed over a graph of the queries
auto.py           a classifier whose strength is chosen in each episode
leave_one_out.py  chooses strengths
tridiagonal.py    a tridiagonal form for leave-one-out, in a third of the time of eigenvectors
base.py           the interface between the evaluator and a classifier
linalg.py         small dense linear algebra for many episodes at once
calibration.py    from scores to probabilities: the temperature of each episode
rounding.py       the rounding error of a linear classifier's scores
many_supports.py  functions that the solvers for many supports share
specs.py          parses "logistic:C=0.1,1,10" into a classifier and its strengths
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
# Transductive classifiers use all queries of an episode together. They have their own table, so that no code treats one
# as an inductive classifier.
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
