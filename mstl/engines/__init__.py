"""Engines: who computes a forward pass (MindSpore, ONNX Runtime, OpenVINO), and models that are exported."""
