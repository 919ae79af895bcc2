"""The nouns, frozen: facts that every room shares.

Here belong data and the words for it. Nothing here touches a file, a socket, a clock or a process, and nothing
here knows a particular kind of resource. Planned facts are dataclasses; those that cross a wire to the supervisor
(``local``) are msgspec structs.
"""
