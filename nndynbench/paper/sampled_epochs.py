"""The AlexNet of appendix A.2 as a method: the degree signatures of the unrolled graph at epochs 1, 5 and 10, side by side.

The appendix does not say which subgraph and which classifier. Here they are the negative subgraph, which the appendix calls
the best, and the SVM.
"""

from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import nndynbench as nb

EPOCHS = [1, 5, 10]

METHODS = {
    "degree-unrolled-negative-1-5-10-svm": nb.Method(
        description="degree signatures of the unrolled graph's negative edges at epochs 1, 5 and 10, linear SVM",
        source="Vahedian et al. 2021, arXiv 2111.05410, appendix A.2",
        reads={"weights"},
        classifier=make_pipeline(
            nb.Signature("degree", epochs=EPOCHS, representation="unrolled", sign="negative"),
            nb.SignedLogarithm(),
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
            SVC(kernel="linear"),
        ),
    )
}
