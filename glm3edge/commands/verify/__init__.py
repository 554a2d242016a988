"""``glm3edge verify``: does a converted file still think as its original?"""
