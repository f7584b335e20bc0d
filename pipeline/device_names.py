"""Names of devices, as params and options take them; without PyTorch, which takes long to load."""

DEVICE_NAMES = "auto, cpu, cuda, cuda:N or mps"
DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:\d+)?)$"
