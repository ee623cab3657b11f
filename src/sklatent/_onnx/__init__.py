"""Fitted estimators as files of ONNX."""
