"""The data of one node: a table of patients in a SQLite file."""

import sqlite3

import numpy as np

QUERY = """
    SELECT age / 100.0, sex = 'Male', COALESCE(thalach, 140) / 200.0, COALESCE(oldpeak, 0.9) / 5.0, num > 0
    FROM patients ORDER BY rowid
"""


def load_data(db_path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the features and labels for training (4 of 5 rows) and for testing."""
    connection = sqlite3.connect(db_path)
    try:
        rows = np.array(connection.execute(QUERY).fetchall(), dtype=np.float32)
    finally:
        connection.close()
    test = np.arange(len(rows)) % 5 == 0
    return rows[~test, :-1], rows[~test, -1], rows[test, :-1], rows[test, -1]
