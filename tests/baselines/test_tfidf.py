"""Our arithmetic of TF-IDF against scikit-learn's own pipeline."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tailorbird.baselines import _logistic, tfidf
from tailorbird.kinds import Evidence

TEXT = "film Story warm dull FUNNY long a I the plot's über naïve 3D don't actor_name eleven 映画 ok"
WORDS = TEXT.split()


def texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    ends = [".", "!", " -- x", ""]
    return [
        " ".join(rng.choice(WORDS, rng.integers(1, 12))) + f" once{i}" * (i % 9 == 0) + ends[i % 4] for i in range(n)
    ]


def seen(values: list[str]) -> Evidence:
    return Evidence(values, None, np.zeros((len(values), 1), np.float32))


@pytest.mark.parametrize("n, c", [(200, 2), (200, 4), (1200, 3)])
def test_scores_are_those_of_scikit_learns_pipeline(n: int, c: int) -> None:
    known, new = texts(n), [*texts(50, seed=1), "", "words nobody knew"]
    y = np.random.default_rng(2).integers(c, size=n)
    baseline = tfidf.Tfidf()
    ours = baseline.scores(baseline.fit(seen(known), y, c, seed=0), seen(new))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if n >= 1000 else 1)
    model = LogisticRegression(C=tfidf._INVERSE_STRENGTH, max_iter=200, tol=_logistic._TOLERANCE)
    theirs = model.fit(vectorizer.fit_transform(known), y).predict_proba(vectorizer.transform(new))
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_the_vocabulary_is_capped_by_how_many_texts_have_a_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "_MOST_TERMS", 1000)
    values = [f"common word{i} word{i + 1}" for i in range(900)]
    vocabulary = tfidf._vocabulary(values, 2)
    assert len(vocabulary) == 1000 and vocabulary == sorted(vocabulary) and "common" in vocabulary


def test_many_labels_shrink_the_vocabulary_instead_of_filling_the_artifact() -> None:
    values = [f"word{i} other{i}" for i in range(900)]
    assert len(tfidf._vocabulary(values, 2)) == 2700
    assert len(tfidf._vocabulary(values, 5000)) == 1600


@pytest.mark.parametrize("values", [["", "!", "?"] * 5, ["a", "b c", "d"] * 5])
def test_texts_without_words_get_the_shares_of_the_labels(values: list[str]) -> None:
    baseline = tfidf.Tfidf()
    y = np.array([0, 0, 1] * 5)
    scores = baseline.scores(baseline.fit(seen(values), y, 2, seed=0), seen(["new words"]))
    assert scores[0] == pytest.approx([2 / 3, 1 / 3], abs=0.01)


def test_terms_that_only_one_text_has_are_kept_when_there_are_no_others() -> None:
    assert len(tfidf._vocabulary([f"word{i}" for i in range(1200)], 2)) == 1200
