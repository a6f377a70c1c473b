# What a kernel of the desk runs first, so that even the first cell of a learner who skipped the first one is answered in a sentence.
# Whoever starts JupyterLab names this file in PYTHONSTARTUP (`ikdemo lab`), or lays it among IPython's own (binder/postBuild).
try:
    from ikdemo.lab.names import explain_missing_names
except ImportError:
    pass  # another Python, begun in a terminal of the desk
else:
    explain_missing_names()
    del explain_missing_names
