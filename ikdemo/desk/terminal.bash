# What a terminal of the desk begins with instead of ~/.bashrc, which may put another Python first.
# JupyterLab is told of this file by what starts it: `ikdemo lab`, or binder/postBuild.
PS1='\[\e[1m\]\W \$\[\e[0m\] '

export IKDEMO_JUPYTER=$PPID # whose terminal this is: `here` takes no other JupyterLab's lab

here() { # let this terminal see the plugins of the notebook that started some last
  local lines
  lines=$(ikdemo labs --export) && eval "$lines"
}

cat <<'END'
Run the notebook's first code cell, then
type here:

  here                  # see its plugins
  infrakit plugin ls
  infrakit group describe collabnix
  ikdemo group why collabnix
  ls $LAB/instances/*   # now rm one
  ikdemo events         # end with Ctrl-C

END
