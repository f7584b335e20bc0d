"""Export of generators to the files of other programs, checked against PyTorch."""

from pipeline.networks.export.ncnn_files import export_ncnn
from pipeline.networks.export.onnx_file import export_onnx
from pipeline.networks.export.weights_file import export_weights

__all__ = ["export_ncnn", "export_onnx", "export_weights"]
