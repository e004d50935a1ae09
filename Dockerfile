# Two images from one file:
#
#   docker build --target api .                                         the API: no simulator, no torch
#   docker build --target worker --build-arg TORCH_INDEX=… .            workers and controllers, CPU
#   docker build --target worker --build-arg EXTRA=gpu .                the same with CUDA and lightning.gpu
#
# Both run as user 10001 on a read-only root; only /tmp must be writable.

ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS base
ENV PATH=/opt/hqnas/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp

FROM base AS builder
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_CONSTRAINT=/src/constraints.txt
RUN python -m venv /opt/hqnas
WORKDIR /src
COPY constraints.txt ./

FROM builder AS api-builder
COPY . .
RUN pip install . && python -m compileall -q /opt/hqnas/lib

FROM builder AS worker-builder
# `worker`, or `gpu` for CUDA.
ARG EXTRA=worker
# The package index has torch with CUDA, some gigabytes larger than a worker without a GPU needs. PyTorch's own index has
# builds for the CPU: give its address here.
ARG TORCH_INDEX=
# A layer of its own, before the sources: torch is most of the image and changes least.
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch
COPY . .
RUN pip install ".[$EXTRA]" && python -m compileall -q /opt/hqnas/lib

FROM base AS runtime
# A number, so that a cluster that demands a user other than root can see that it is one.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["hqnas"]

FROM runtime AS worker
COPY --from=worker-builder /opt/hqnas /opt/hqnas
# Read by the NVIDIA runtime where there is one, and by nothing else.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["worker"]

# Last, and so what `docker build .` makes.
FROM runtime AS api
COPY --from=api-builder /opt/hqnas /opt/hqnas
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["api", "--host", "0.0.0.0", "--port", "8000"]
