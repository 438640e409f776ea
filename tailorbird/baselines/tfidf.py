"""The rival that counts words and pairs of words."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tailorbird.baselines._linear import LEARNERS, fit_linear, linear_scores
from tailorbird.kinds import Baseline
from tailorbird.lesson import Evidence, Link, Quiz, State

_WORD = re.compile(r"(?u)\b\w\w+\b")  # scikit-learn's own pattern: one-letter words do not count
_MOST_TERMS = 30_000
_MOST_WEIGHTS = 8_000_000  # terms x labels: 32 MB in the artifact
_RARE_FROM = 1_000  # rows from which on a term must be in two of them
_INVERSE_STRENGTH = 10.0  # scikit-learn's C; on 8,600 film reviews better than 1, 3 and 30


class Tfidf(Baseline):
    """Logistic or ridge regression on scikit-learn's TF-IDF of words and pairs; `scores` does the same arithmetic
    without it."""

    modalities: ClassVar[frozenset[str]] = frozenset({"text"})
    links: ClassVar[frozenset[str]] = frozenset(LEARNERS)

    def title(self, link: Link) -> str:
        return f"TF-IDF + {LEARNERS[link]}"

    def fit(self, evidence: Evidence, quiz: Quiz) -> State:
        # Imported here, for answering needs only numpy.
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = _texts(evidence)
        vocabulary = _vocabulary(texts, quiz.n_labels)
        vectorizer = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, vocabulary=vocabulary)
        note, arrays = fit_linear(vectorizer.fit_transform(texts), quiz, _INVERSE_STRENGTH)
        return {**note, "vocabulary": vocabulary}, {**arrays, "idf": vectorizer.idf_}

    def scores(self, state: State, evidence: Evidence) -> NDArray[np.float64]:
        note, arrays = state
        places = {term: place for place, term in enumerate(note["vocabulary"])}
        outputs = np.tile(arrays["intercept"], (len(evidence.values), 1))
        for row, text in zip(outputs, _texts(evidence), strict=True):
            counts = Counter(place for term in _terms(text) if (place := places.get(term)) is not None)
            if counts:
                found = np.fromiter(counts, np.int64)
                weight = (1 + np.log(np.fromiter(counts.values(), np.float64))) * arrays["idf"][found]
                row += weight / np.linalg.norm(weight) @ arrays["coef"][found]
        return linear_scores(state, outputs)


def _vocabulary(texts: list[str], n_labels: int) -> list[str]:
    """The terms that most texts have, sorted. Never empty: scikit-learn could not go on."""
    counts = Counter(term for text in texts for term in set(_terms(text)))
    most = max(min(_MOST_TERMS, _MOST_WEIGHTS // n_labels), 1_000)
    # Ties in order of the terms: the order of a set of words changes from process to process.
    ordered = sorted(counts, key=lambda term: (-counts[term], term))[:most]
    common = [term for term in ordered if counts[term] >= 2] if len(texts) >= _RARE_FROM else ordered
    return sorted(common or ordered or [""])


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def _texts(evidence: Evidence) -> list[str]:
    return [str(value) for value in evidence.values]
