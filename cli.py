"""The program: `deepfield DOMAIN VERB`, put together from the tables in `toolkit.verbs`.

Only the named domain is imported, and only the named verb is built: help and the first answer
come at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from deepfield.toolkit import errors, verbs

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Ctrl-C as an error of ours: click would say an empty line before it."""
    try:
        yield
    except KeyboardInterrupt:
        raise errors.Interrupted("interrupted", "run it again") from None


class _Program(click.Group):
    """Domains and the verbs above them, each built when it is named."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _told():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _told():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        from deepfield.domains import DOMAINS

        return [*DOMAINS, *verbs.PROGRAM_VERBS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from deepfield.domains import DOMAINS

        if name in DOMAINS:
            return _Domain(name, DOMAINS[name][2])
        return _above(name) if name in verbs.PROGRAM_VERBS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from deepfield.domains import DOMAINS

        with formatter.section("Domains"):
            formatter.write_dl([(name, facts[2]) for name, facts in DOMAINS.items()])
        with formatter.section("Program"):
            formatter.write_dl(list(verbs.PROGRAM_VERBS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write_text("deepfield DOMAIN --help lists the verbs of a domain.")


class _Domain(click.Group):
    """The verbs of one domain."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary, context_settings=_CONTEXT)
        self.domain = name

    def list_commands(self, ctx: click.Context) -> list[str]:
        from deepfield.domains import domain

        return [*verbs.VERBS, *domain(self.domain).verbs]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from deepfield.domains import domain

        cls = domain(self.domain)
        every = verbs.VERBS | dict(cls.verbs)
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.help) for name, verb in every.items()])
        with formatter.section("Reads"):
            formatter.write_dl([(r.name, r.summary) for r in cls.readers])
        if cls.presets:
            with formatter.section("Presets"):
                formatter.write_dl(
                    [(p, "the default" if not i else "") for i, p in enumerate(cls.presets)]
                )

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from deepfield.domains import domain

        cls = domain(self.domain)
        verb = verbs.VERBS.get(name) or cls.verbs.get(name)
        return None if verb is None else _verb(cls, name, verb)


class _Verb(click.Command):
    """A verb whose help starts with examples that run as they stand."""

    examples: tuple[str, ...] = ()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
            formatter.write_paragraph()
        super().format_help(ctx, formatter)


def _verb(cls: Any, name: str, verb: verbs.Verb) -> click.Command:
    params: list[click.Parameter] = []
    if verb.argument:
        needed = not verb.argument.startswith("[")
        count = -1 if verb.several else 1
        params.append(
            _Argument(
                ["subject"], nargs=count, required=needed, metavar=verb.argument,
                shell_complete=_completed,
            )
        )  # fmt: skip
    params += [_option(flag) for flag in verbs.flags_of(name, verb.shared)]
    params += [_option(option) for option in cls.options if name in option.verbs]

    def run(**values: Any) -> int:
        from deepfield import domains
        from deepfield.toolkit import commands
        from deepfield.toolkit.console import hushed

        flags = commands.Flags({k: v for k, v in values.items() if k != "subject"})
        subject = (values["subject"],) if "subject" in values else ()
        _check_sources(click.get_current_context())
        kept = "resume" in flags and flags.output not in (None, "-")
        try:
            with hushed(bool(values.get("quiet"))):
                return (verb.run or commands.RUN[name])(cls, domains.load, *subject, flags)
        except KeyboardInterrupt:
            hint = "--resume goes on with what was finished" if kept else "run it again"
            raise errors.Interrupted("interrupted", hint) from None
        except OSError as error:
            if error.errno not in errors.FULL:
                raise
            hint = f"free some space and run it again{' with --resume' if kept else ''}"
            raise errors.DeepfieldError(f"the disk is full ({error.strerror})", hint) from None

    command = _Verb(name, params=params, callback=run, help=verb.help, context_settings=_CONTEXT)
    command.examples = tuple(cls.examples.get(name, ()))
    return command


def _check_sources(ctx: click.Context) -> None:
    """Standard input is read once, and no verb writes over a file that it was given to read,
    whichever flag names it.
    """
    from deepfield.toolkit.writers import refuse_input

    if isinstance(subject := ctx.params.get("subject"), tuple) and subject.count("-") > 1:
        raise errors.UsageError("'-' is named twice", "standard input can be read once")
    outputs = [ctx.params[n] for n in ("output", "save_split", "html") if ctx.params.get(n)]
    names_no_file = {p.name for p in ctx.command.params if isinstance(p.type, click.Choice)}
    names_no_file |= {"output", "save_split", "html"}
    given = [v for n, v in {**ctx.params, **ctx.meta}.items() if n not in names_no_file]
    several = (v if isinstance(v, tuple | list) else (v,) for v in given)
    read = [v for each in several for v in each if isinstance(v, str)]
    for output in outputs:
        refuse_input(output, *read)


class _Argument(click.Argument):
    """An argument that is called in an error what the help calls it."""

    def make_metavar(self, ctx: click.Context) -> str:
        return f"{self.metavar}..." if self.nargs == -1 else str(self.metavar)


def _completed(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """What the shell offers: choices, presets and architectures where one is named, else files."""
    from deepfield.domains import DOMAINS, domain

    if isinstance(param.type, click.Choice):
        return param.type.shell_complete(ctx, param, typed)
    group = ctx.parent.command if ctx.parent else None
    names: list[str] = []
    files = param.name != "architecture"
    if not isinstance(group, _Domain):  # `models`: of every domain
        files = False
        names = [f"{each}/{preset}" for each in DOMAINS for preset in domain(each).presets]
        if typed and not any(name.startswith(typed) for name in names):
            names = [name.rpartition("/")[2] for name in names]
    else:
        described = (ctx.command.name, param.name) == ("describe", "subject")
        if described or param.name in ("model", "from"):
            names += domain(group.domain).presets
        if described or param.name == "architecture":
            names += _architectures(domain(group.domain))
    found = [CompletionItem(typed, type="file")] if files else []
    return found + [CompletionItem(n) for n in dict.fromkeys(names) if n.startswith(typed)]


def _architectures(cls: Any) -> list[str]:
    """The builders of a domain, out of the text of their module: to import it takes seconds."""
    import importlib.util

    from deepfield.toolkit.registry import names_in

    found = importlib.util.find_spec(cls.architectures)
    return names_in(Path(str(found.origin if found else "")).read_text(encoding="utf-8"))


def _option(flag: Any) -> click.Option:
    names = ["--" + flag.name.replace("_", "-")]
    if getattr(flag, "short", ""):
        names.insert(0, f"-{flag.short}")
    settings: dict[str, Any] = {"help": flag.help, "shell_complete": _completed}
    if flag.type is bool:
        settings |= {"is_flag": True, "default": False}
    else:
        kind: Any = click.Choice(flag.choices) if flag.choices else flag.type
        if flag.least is not None:
            whole = flag.type is int
            kind = click.IntRange(int(flag.least)) if whole else click.FloatRange(flag.least)
        settings |= {"type": kind, "default": flag.default, "multiple": flag.repeat}
        if flag.repeat:
            settings.pop("default")
        if getattr(flag, "metavar", ""):
            settings["metavar"] = flag.metavar
        if flag.default is not None:
            settings["show_default"] = True
    if flag.name == "config":
        settings |= {"is_eager": True, "expose_value": False, "callback": _read_config}
    return click.Option([*names, flag.name], **settings)


def _read_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Values from a TOML file become the defaults of the other flags."""
    if value is None:
        return
    try:
        table = tomllib.loads(Path(value).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise errors.NotFound(f"no such file: {value!r}", "name a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise errors.UsageError(f"{value!r} is not TOML: {error}", "see toml.io") from None
    known = {p.name: p for p in ctx.command.params}
    defaults: dict[str, Any] = {}
    for name, given in table.items():
        key = name.replace("-", "_")
        if key not in known:
            flags = sorted(set(map(str, known)) - {"subject", "config"})
            near = errors.did_you_mean(errors.near_names(key, flags))
            raise errors.UsageError(
                f"{value!r}: {name!r} is no flag of {ctx.command.name}",
                near.rstrip() or f"flags: {', '.join(flags)}",
            )
        if isinstance(given, dict) and key != "set":
            raise errors.UsageError(f"{value!r}: {name!r} is a table", f"write {name} = VALUE")
        if key == "set" and isinstance(given, dict):
            given = [f"{k}={json.dumps(v, default=str)}" for k, v in given.items()]
        defaults[key] = given
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    ctx.meta["config"] = value


def _above(name: str) -> click.Command:
    """A verb above the domains."""
    from deepfield.domains import DOMAINS, domain
    from deepfield.toolkit import program as above

    def classes() -> dict[str, Any]:
        return {each: domain(each) for each in DOMAINS}

    as_json = click.Option(["--json", "as_json"], is_flag=True, help="One object a line.")
    quiet = click.Option(["-q", "--quiet", "quiet"], is_flag=True, help="Say nothing but errors.")
    debug = click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks.")
    text = verbs.PROGRAM_VERBS[name]
    if name == "demo":
        output = click.Option(
            ["-o", "--output"], default="demo.html", show_default=True, metavar="FILE",
            help="The report.",
        )  # fmt: skip
        return click.Command(
            name, help=text, params=[output, as_json, quiet, debug], context_settings=_CONTEXT,
            callback=lambda output, as_json, quiet: above.demo(classes(), output, quiet, as_json),
        )  # fmt: skip
    if name == "doctor":
        return click.Command(
            name, help=text, params=[as_json, debug], context_settings=_CONTEXT,
            callback=lambda as_json: above.doctor(classes(), as_json),
        )  # fmt: skip
    group = click.Group(name, help=text, context_settings=_CONTEXT)
    model = click.Argument(["model"], metavar="MODEL", shell_complete=_completed)
    maybe = click.Argument(
        ["model"], metavar="[MODEL]", required=False, shell_complete=_completed
    )  # fmt: skip
    for command in (
        click.Command(
            "list", help="Every prebuilt network.", params=[as_json, debug],
            callback=lambda as_json: above.models_list(classes(), as_json),
        ),
        click.Command(
            "show", help="The card of one: data, licence, figures.",
            params=[model, as_json, debug],
            callback=lambda model, as_json: above.models_show(classes(), model, as_json),
        ),
        click.Command(
            "check", help="Whether one (or all) answers here as when it was made.",
            params=[maybe, as_json, debug],
            callback=lambda model, as_json: above.models_check(classes(), model, as_json),
        ),
    ):  # fmt: skip
        command.context_settings = _CONTEXT
        group.add_command(command)
    return group


def _show_version(ctx: click.Context, param: click.Parameter, on: bool) -> None:
    from deepfield import __version__

    if on:
        click.echo(f"deepfield {__version__}")
        ctx.exit()


def program() -> click.Group:
    """The whole command line."""
    option = click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, help="Show the version.",
        callback=_show_version,
    )  # fmt: skip
    return _Program(
        "deepfield",
        params=[option],
        help="Applied deep learning on your own files: predict, fine-tune, train, explain.",
        context_settings=_CONTEXT,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the program; the exit code says how it went (see `toolkit.errors.EXIT_CODES`)."""
    given = sys.argv[1:] if arguments is None else arguments
    if arguments is None:
        _settle()
    return _guarded(
        lambda: program().main(given, "deepfield", standalone_mode=False), "--debug" in given
    )


def _settle() -> None:
    """Be ready for whatever started the process: a daemon without standard streams, a terminal that
    cannot show every letter, a scheduler that stops it as Ctrl-C does.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115
            setattr(sys, name, stream)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    with contextlib.suppress(ValueError):  # another program's thread, which may not
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _guarded(run: Callable[[], Any], debug: bool = False) -> int:
    def shown() -> Any:
        try:
            return run()
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except BaseException:
            if debug:
                traceback.print_exc()
            raise

    try:
        code = int(shown() or 0)
        sys.stdout.flush()
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 2
    except click.ClickException as error:
        return _fail(*_misused(error), 2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _fail("interrupted", "run it again", errors.INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # the latter is what click makes of the former
        # The reader of our output has gone; nothing more can be said there.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.CLOSED_PIPE
    except errors.DeepfieldError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except errors.BadInput as error:
        return _fail(error.reason, "--on-error null keeps the row and goes on", 1)
    except MemoryError:
        return _fail("not enough memory", "use a smaller --batch-size", 1)
    except OSError as error:
        what = f"{error.strerror or error}" + (f": {error.filename!r}" if error.filename else "")
        return _fail(what, "check the path, its permissions and the disk", 1)
    except Exception as error:
        return _fail(
            f"{type(error).__name__}: {errors.first_line(error)}",
            "this should not happen: --debug shows where, please report it",
            1,
        )


def _misused(error: click.ClickException) -> tuple[str, str]:
    """A usage error of click in our two lines, with the names that are near."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "deepfield"
    hint = f"see `{where} --help`"
    near: list[str] = list(getattr(error, "possibilities", None) or [])
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        what = f"no flag {name!r} of `{where}`"
        if context is not None:
            names = [o for p in context.command.params for o in p.opts if o[:2] == "--"]
            near = near or errors.near_names(name, names)
    elif isinstance(error, getattr(click.exceptions, "NoSuchCommand", ())):
        name = error.command_name  # type: ignore[attr-defined]
        what = f"no {'verb' if where.count(' ') else 'domain or command'} {name!r}"
        if context is not None and isinstance(context.command, click.Group):
            known = context.command.list_commands(context)
            near = errors.near_names(name, known)
            hint = f"there are {', '.join(known)}"
    else:
        what = error.format_message().rstrip(".")
        what = what[:1].lower() + what[1:]
    return what, errors.did_you_mean(near) + hint


def _fail(what: str, hint: str, code: int) -> int:
    one = " ".join(what.split())
    print(f"error: {one}\nhint: {' '.join(hint.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
