"""What this task's scores are held against: logistic and linear regression on standardised columns."""

from typing import Any

from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def baseline(data: Any) -> dict[str, float]:
    """Scikit-learn's scores on the split that the project trains and tests on."""
    target = data.hparams.target
    train, test = (data.rows[name] for name in ("train", "test"))
    inputs, truth = test.drop(columns=target).to_numpy(float), test[target].to_numpy()
    linear = (
        LinearRegression() if data.regression else make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    )
    linear.fit(train.drop(columns=target).to_numpy(float), train[target].to_numpy())
    if data.regression:
        return {"test/r2": r2_score(truth, linear.predict(inputs))}
    auroc = roc_auc_score(truth == linear.classes_[1], linear.predict_proba(inputs)[:, 1])
    return {"test/accuracy": accuracy_score(truth, linear.predict(inputs)), "test/auroc": auroc}
