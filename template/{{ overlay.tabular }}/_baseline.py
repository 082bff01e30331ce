"""Baselines for this task's scores: logistic and linear regression."""

from typing import Any

from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MAX_ITERATIONS = 1000


def baseline(data: Any) -> dict[str, float]:
    """Scores of scikit-learn on the splits that the project trains and tests on."""
    target = data.hparams.target
    train = data.rows["train"]
    test = data.rows["test"]
    train_inputs = train.drop(columns=target).to_numpy(float)
    test_inputs = test.drop(columns=target).to_numpy(float)
    train_target = train[target].to_numpy()
    test_target = test[target].to_numpy()
    if data.regression:
        regression = LinearRegression()
        regression.fit(train_inputs, train_target)
        return {"test/r2": r2_score(test_target, regression.predict(test_inputs))}

    classifier = make_pipeline(
        StandardScaler(),
        LogisticRegression(max_iter=MAX_ITERATIONS),
    )
    classifier.fit(train_inputs, train_target)
    probability = classifier.predict_proba(test_inputs)[:, 1]
    is_second_class = test_target == classifier.classes_[1]
    return {
        "test/accuracy": accuracy_score(test_target, classifier.predict(test_inputs)),
        "test/auroc": roc_auc_score(is_second_class, probability),
    }
