# What a kernel of the desk runs first, so that a name which no cell has made yet is explained in a
# sentence from the start.
# PYTHONSTARTUP names this file (`ikdemo lab`), or it lies among IPython's own (binder/postBuild).
try:
    from ikdemo.lab.teaching.hints import explain_missing_names
except ImportError:
    pass  # another Python, begun in a terminal of the desk
else:
    explain_missing_names()
    del explain_missing_names
