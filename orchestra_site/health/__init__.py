"""What is seen from outside: whether the process lives, whether it can serve, how pipelines do, figures for monitoring.

Owns who may ask; decides nothing about runs. Mounted by the settings and `orchestra_site.urls`.
"""
