"""The `charter` command: `main` joins the groups, and one file holds one group.

Command bodies import what they need when they run, so that `charter --help` answers at once. This
package is the only place that does so.
"""
