"""Our arithmetic of TF-IDF against scikit-learn's own pipeline."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV

from tailorbird.baselines import _logistic, _ridge, tfidf
from tailorbird.lesson import Evidence, Quiz

TEXT = "film Story warm dull FUNNY long a I the plot's über naïve 3D don't actor_name eleven 映画 ok"
WORDS = TEXT.split()


def texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    ends = [".", "!", " -- x", ""]
    return [
        " ".join(rng.choice(WORDS, rng.integers(1, 12))) + f" once{i}" * (i % 9 == 0) + ends[i % 4] for i in range(n)
    ]


def seen(values: list[str]) -> Evidence:
    return Evidence(values, None, None)


@pytest.mark.parametrize("n, c", [(200, 2), (200, 4), (1200, 3)])
def test_scores_are_those_of_scikit_learns_pipeline(n: int, c: int) -> None:
    known, new = texts(n), [*texts(50, seed=1), "", "words nobody knew"]
    y = np.random.default_rng(2).integers(c, size=n)
    baseline = tfidf.Tfidf()
    ours = baseline.scores(baseline.fit(seen(known), Quiz(y, c, "softmax", seed=0)), seen(new))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if n >= 1000 else 1)
    model = LogisticRegression(C=tfidf._INVERSE_STRENGTH, max_iter=200, tol=_logistic._TOLERANCE)
    theirs = model.fit(vectorizer.fit_transform(known), y).predict_proba(vectorizer.transform(new))
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_each_of_many_labels_has_the_scores_of_a_pipeline_of_its_own() -> None:
    known, new = texts(200), [*texts(50, seed=1), "", "words nobody knew"]
    y = (np.random.default_rng(2).random((200, 3)) < [0.5, 0.1, 0.0]).astype(np.float32)
    baseline = tfidf.Tfidf()
    ours = baseline.scores(baseline.fit(seen(known), Quiz(y, 3, "sigmoid", seed=0)), seen(new))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x, fresh = vectorizer.fit_transform(known), vectorizer.transform(new)
    for k in range(2):
        model = LogisticRegression(C=tfidf._INVERSE_STRENGTH, max_iter=200, tol=_logistic._TOLERANCE)
        assert ours[:, k] == pytest.approx(model.fit(x, y[:, k]).predict_proba(fresh)[:, 1], abs=1e-6)
    assert ours[:, 2] == pytest.approx(np.full(52, 1 / 202))  # as if one row more had the label that none has


@pytest.mark.parametrize("most", [1500, 100])
def test_values_are_those_of_ridge_regression_whose_strength_leave_one_out_chose(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ridge, "_WIDEST", most)
    known, new = texts(300), [*texts(50, seed=1), "", "words nobody knew"]
    y = 1e6 + np.array([[100.0 * len(text) + 1000 * ("warm" in text)] for text in known])
    baseline = tfidf.Tfidf()
    state = baseline.fit(seen(known), Quiz(y, 1, "identity", seed=0))
    ours = baseline.scores(state, seen(new))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x = vectorizer.fit_transform(known)
    peer = RidgeCV(alphas=_ridge._ALPHAS).fit(x.toarray(), y[:, 0])
    if most == 1500:
        assert state[0]["alpha"] == pytest.approx(peer.alpha_)
    else:  # some rows choose nearly as well as all of them
        assert abs(np.log10(state[0]["alpha"] / peer.alpha_)) <= 1.01
    theirs = Ridge(alpha=state[0]["alpha"]).fit(x.toarray(), y[:, 0]).predict(vectorizer.transform(new))
    assert ours[:, 0] == pytest.approx(theirs, abs=0.01 * y.std())


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
    scores = baseline.scores(baseline.fit(seen(values), Quiz(y, 2, "softmax", seed=0)), seen(["new words"]))
    assert scores[0] == pytest.approx([2 / 3, 1 / 3], abs=0.01)


def test_terms_that_only_one_text_has_are_kept_when_there_are_no_others() -> None:
    assert len(tfidf._vocabulary([f"word{i}" for i in range(1200)], 2)) == 1200
