"""Pure torch: layers, builders and models. Knows no numpy, scikit-learn or skorch."""
