"""What this task's scores are held against: logistic regression on the words of the passages."""

from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline


def baseline(data: Any) -> dict[str, float]:
    """Scikit-learn's scores on the split that the project trains and tests on, from its defaults for text."""
    texts = {name: [sample.text for sample in data.splits[name]] for name in ("train", "test")}
    labels = {name: [sample.label for sample in data.splits[name]] for name in ("train", "test")}
    words = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(texts["train"], labels["train"])
    found = words.predict(texts["test"])
    accuracy = accuracy_score(labels["test"], found)
    return {"test/accuracy": float(accuracy), "test/f1": float(f1_score(labels["test"], found, average="macro"))}
