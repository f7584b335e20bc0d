# docker build -t anime-sr .                                    a CPU
# docker build -t anime-sr --build-arg TORCH=cu130 .            an NVIDIA GPU
# docker run --rm -v "$PWD:/work" anime-sr upscale picture.png
FROM python:3.13-slim

# What PyTorch is built for: cpu, or a version of CUDA.
ARG TORCH=cpu
RUN apt-get update && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv
COPY . /src
RUN uv pip install --system --no-cache --torch-backend=${TORCH} /src && rm -rf /src
# The mounted folder belongs to another user.
RUN git config --system --add safe.directory '*'
WORKDIR /work
ENTRYPOINT ["pipeline"]
CMD ["--help"]
