"""Logistic regression with scikit-learn, averaged."""
