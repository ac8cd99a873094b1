"""scikit-learn with joblib's backends."""

import os
import sys

os.environ["JOBLIB_START_METHOD"] = sys.argv[1]

import joblib
from client import compare
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score

# Large enough to be mapped by the workers.
DATA, TRUTH = make_classification(400, 20, random_state=0)
PLACES = {"n_estimators": [3, 6], "max_depth": [2, 3]}


def score(jobs):
    forest = RandomForestClassifier(5, random_state=0, n_jobs=jobs)
    scores = cross_val_score(forest, DATA, TRUTH, cv=4, n_jobs=jobs).tolist()
    search = GridSearchCV(RandomForestClassifier(random_state=0), PLACES, cv=2, n_jobs=jobs)
    search.fit(DATA, TRUTH)
    cubes = joblib.Parallel(jobs, max_nbytes=100)(joblib.delayed(total)(DATA, n) for n in range(6))
    return scores, search.best_params_, search.best_score_, cubes


def total(data, power):
    return float((data**power).sum())


def alone():
    return [score(1)] * 2


def together():
    found = []
    for backend in ("multiprocessing", "loky"):
        with joblib.parallel_backend(backend):
            found.append(score(2))
    return found


if __name__ == "__main__":
    compare(alone, together)
