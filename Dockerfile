# The lab in a container: docker build -t ikdemo . && docker run --rm -p 8888:8888 -v ikdemo-desk:/home/learner/ikdemo-desk ikdemo
# Any image of Python 3.11 or newer on Debian will do as the base.
ARG BASE=python:3.12-slim
FROM ${BASE}

# tini reaps the plugin processes that a killed kernel leaves behind; curl is what a notebook talks to a plugin with.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 --shell /bin/bash learner

# The dependencies change seldom: a layer of their own.
COPY binder/requirements.txt /tmp/requirements.txt
RUN python -m pip install --no-cache-dir --disable-pip-version-check --requirement /tmp/requirements.txt

# The package itself, then what a learner reads and changes.
COPY pyproject.toml README.md LICENSE /tmp/ikdemo/
COPY ikdemo /tmp/ikdemo/ikdemo
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps /tmp/ikdemo
WORKDIR /home/learner/ikdemo
# The learner's copy of the notebooks: a volume that is mounted there keeps it, and belongs to the learner.
RUN chown learner:learner . && install --directory --owner=learner --group=learner /home/learner/ikdemo-desk
COPY --chown=learner README.md ./
COPY --chown=learner docs docs
COPY --chown=learner notebooks notebooks
COPY --chown=learner examples examples

USER learner
EXPOSE 8888
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8888/api', timeout=4)"]
ENV SHELL=/bin/bash
ENTRYPOINT ["tini", "-g", "--"]
# Jupyter makes a new token at every start and prints the address that holds it.
CMD ["ikdemo", "lab", "--", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
