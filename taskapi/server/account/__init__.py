"""The pages that links in mails lead to if there is no front end (`APP_URL`).

A page uses its token only when its button is clicked, because mail scanners open links.
"""
