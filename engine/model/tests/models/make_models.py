"""Makes the models beside it and what their libraries predict, for tests/import.rs.

    tests/setup.sh model && .venv/model/bin/python engine/model/tests/models/make_models.py

Each model has rows: random ones, ones with missing values, and ones that lie on a threshold or next to it.
"""

import json
import pathlib
import re

import lightgbm
import numpy as np
import xgboost

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(7)


def data(rows=800, missing=0.15):
    x = random.normal(size=(rows, 5))
    x[:, 3] = random.integers(0, 40, rows)
    x[:, 4] = np.where(random.random(rows) < 0.5, 0.0, x[:, 4])
    z = x[:, 0] + np.abs(x[:, 1]) + np.isin(x[:, 3], [1, 5, 33, 39]) * 2 - (x[:, 4] == 0)
    y = (random.random(rows) < 1 / (1 + np.exp(1 - z))).astype(int)
    x[random.random(x.shape) < missing] = np.nan
    return x, y


def questions(x, thresholds):
    rows = [x[:40], np.where(random.random((10, 5)) < 0.5, np.nan, x[:10])]
    for t in list(thresholds)[:9]:
        single = np.float32(t)
        for value in [t, np.nextafter(t, -np.inf), np.nextafter(t, np.inf), np.nextafter(single, np.float32(-np.inf)), np.float64(single) - abs(t) * 3e-8, 0.0, 1e-36, -1e-36, -0.7, 1e6]:
            rows.append(np.full((1, 5), value))
    return np.concatenate(rows)


def write(name, rows, predictions, contributions=None):
    listed = [[None if np.isnan(v) else float(v) for v in row] for row in rows]
    answers = {"rows": listed, "predictions": [float(p) for p in predictions]}
    if contributions is not None:
        answers["shapley"] = np.asarray(contributions, dtype=float).tolist()
    (HERE / f"{name}.answers.json").write_text(json.dumps(answers) + "\n")


def xgb(name, missing=0.15, refused=False, **parameters):
    x, y = data(missing=missing)
    model = xgboost.train({"max_depth": 4, "eta": 0.3, **parameters}, xgboost.DMatrix(x, y), 8)
    path = HERE / f"{name}.json"
    model.save_model(path)
    if refused:
        return
    booster = json.loads(path.read_text())["learner"]["gradient_booster"]
    trees = booster.get("gbtree", booster)["model"]["trees"]
    thresholds = [t for tree in trees for t, left in zip(tree["split_conditions"], tree["left_children"]) if left != -1]
    rows = questions(x, thresholds)
    matrix = xgboost.DMatrix(rows)
    write(name, rows, model.predict(matrix), model.predict(matrix, pred_contribs=True))


def lgb(name, missing=0.15, categorical="auto", refused=False, **parameters):
    x, y = data(missing=missing)
    given = {"num_leaves": 8, "learning_rate": 0.3, "verbose": -1, "min_data_in_leaf": 5, "deterministic": True, "num_threads": 1, **parameters}
    model = lightgbm.train(given, lightgbm.Dataset(x, y, categorical_feature=categorical), 8)
    path = HERE / f"{name}.txt"
    model.save_model(path)
    if refused:
        return
    thresholds = [float(t) for line in re.findall(r"^threshold=(.*)$", path.read_text(), re.M) for t in line.split()]
    rows = questions(x, thresholds)
    # LightGBM explains the sum before it is multiplied by `sigmoid`.
    contributions = model.predict(rows, pred_contrib=True) * parameters.get("sigmoid", 1)
    write(name, rows, model.predict(rows), contributions)


xgb("xgboost-logistic", objective="binary:logistic", scale_pos_weight=2)
xgb("xgboost-base-score", objective="binary:logistic", base_score=0.2)
xgb("xgboost-logitraw", objective="binary:logitraw", base_score=0.3)
xgb("xgboost-regression", objective="reg:squarederror", missing=0)
xgb("xgboost-linear", objective="binary:logistic", booster="gblinear", refused=True)
xgb("xgboost-poisson", objective="count:poisson", refused=True)
lgb("lightgbm-binary", objective="binary")
lgb("lightgbm-sigmoid", objective="binary", sigmoid=2.0)
lgb("lightgbm-none-missing", objective="binary", missing=0)
lgb("lightgbm-zero-missing", objective="binary", zero_as_missing=True)
lgb("lightgbm-categories", objective="binary", categorical=[3], max_cat_to_onehot=1, min_data_per_group=5)
lgb("lightgbm-regression", objective="regression")
lgb("lightgbm-forest", objective="binary", boosting="rf", bagging_fraction=0.5, bagging_freq=1, refused=True)
lgb("lightgbm-linear", objective="regression", linear_tree=True, missing=0, refused=True)
xgb("xgboost-dart", objective="binary:logistic", booster="dart", rate_drop=0.3)
