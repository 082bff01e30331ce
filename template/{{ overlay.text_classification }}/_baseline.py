"""Baseline for this task's scores: logistic regression on the words of the passages."""

from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

MAX_ITERATIONS = 1000


def baseline(data: Any) -> dict[str, float]:
    """Scores of scikit-learn, by its defaults for text, on the splits that the project uses."""
    train = data.splits["train"]
    test = data.splits["test"]
    classifier = make_pipeline(
        TfidfVectorizer(),
        LogisticRegression(max_iter=MAX_ITERATIONS),
    )
    classifier.fit([sample.text for sample in train], [sample.label for sample in train])
    predicted = classifier.predict([sample.text for sample in test])
    labels = [sample.label for sample in test]
    return {
        "test/accuracy": float(accuracy_score(labels, predicted)),
        "test/f1": float(f1_score(labels, predicted, average="macro")),
    }
