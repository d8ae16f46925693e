using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace Tessera.Cli;

/// <summary>What is wrong with a command line, said in its own words and in those of no programming language.</summary>
internal static class CommandLineText
{
    /// <summary>What is wrong, a short sentence each; none where all is well.</summary>
    public static IReadOnlyList<string> Problems(ParseResult parsed)
    {
        if (UnknownOption(parsed) is { } unknown)
        {
            var known = KnownOption(parsed, unknown) is { } near ? $"; did you mean {near}?" : "";
            var reads = parsed.CommandResult.Command.Arguments.Any(argument => argument.Name == "text");
            var asText = reads ? "; put texts that begin with - after a lone --" : "";
            return [$"'{unknown}' is no option of '{Name(parsed.CommandResult)}'{known}{asText}"];
        }

        var numbers = Options(parsed).Where(option => NumberProblem(option) is not null).ToList();
        return
        [
            .. numbers.Select(option => NumberProblem(option)!),
            .. parsed.Errors.Where(error => error.SymbolResult is not OptionResult option || !numbers.Contains(option))
                .Select(error => Said(error.Message)),
        ];
    }

    /// <summary>A command as it is called: <c>tessera recipe show</c>.</summary>
    public static string Name(CommandResult command) => command.Parent is CommandResult parent
        ? $"{Name(parent)} {command.Command.Name}"
        : "tessera";

    /// <summary>A message on one line; .NET adds the parameter's name to those of arguments.</summary>
    public static string OneLine(string message)
    {
        var end = message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return (end < 0 ? message : message[..end]).ReplaceLineEndings(" ");
    }

    private static string Said(string message) => OneLine(message).TrimEnd('.');

    /// <summary>The first argument that looks like an option and is none. What follows a lone <c>--</c> is text.</summary>
    private static string? UnknownOption(ParseResult parsed)
    {
        var taken = new HashSet<Token>(Options(parsed).SelectMany(option => option.Tokens), ReferenceEqualityComparer.Instance);
        return parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash)
            .Where(token => token.Type == TokenType.Argument && !taken.Contains(token)).Select(token => token.Value)
            .FirstOrDefault(text => text is ['-', var next, ..] && (next == '-' || char.IsLetter(next)));
    }

    /// <summary>The option that somebody may have meant: the same letters after the dashes, or the only one that begins so.</summary>
    private static string? KnownOption(ParseResult parsed, string found)
    {
        var word = found.TrimStart('-').Split('=', ':')[0];
        var names = Commands(parsed).SelectMany(command => command.Command.Options).Select(option => option.Name)
            .Where(name => name.TrimStart('-').StartsWith(word, StringComparison.OrdinalIgnoreCase)).ToList();
        return names.FirstOrDefault(name => name.TrimStart('-').Equals(word, StringComparison.OrdinalIgnoreCase))
            ?? (names.Count == 1 && word.Length > 1 ? names[0] : null);
    }

    private static IEnumerable<CommandResult> Commands(ParseResult parsed)
    {
        for (var command = parsed.CommandResult; command is not null; command = command.Parent as CommandResult) yield return command;
    }

    private static IEnumerable<OptionResult> Options(ParseResult parsed) =>
        Commands(parsed).SelectMany(command => command.Children).OfType<OptionResult>();

    /// <summary>Numbers have a point and no other sign between their digits, wherever they are written.</summary>
    private static string? NumberProblem(OptionResult option)
    {
        var type = Nullable.GetUnderlyingType(option.Option.ValueType) ?? option.Option.ValueType;
        if (type != typeof(int) && type != typeof(ulong) && type != typeof(float) && type != typeof(double)) return null;
        var bad = option.Tokens.FirstOrDefault(token => !IsNumber(token.Value, type));
        return bad is null ? null : $"{option.Option.Name} is '{bad.Value}'; allowed: {Expected(bad.Value, type)}";
    }

    private static bool IsNumber(string text, Type type) =>
        type == typeof(float) || type == typeof(double)
            ? double.TryParse(text, NumberStyles.Float & ~NumberStyles.AllowLeadingWhite & ~NumberStyles.AllowTrailingWhite,
                CultureInfo.InvariantCulture, out var real) && double.IsFinite(real)
            : BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)
                && (type == typeof(ulong) ? whole >= 0 && whole <= ulong.MaxValue : whole >= int.MinValue && whole <= int.MaxValue);

    private static string Expected(string text, Type type)
    {
        if (type == typeof(float) || type == typeof(double)) return "a number such as 0.8";
        var isWhole = BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _);
        return !isWhole ? "a whole number, without signs between its digits"
            : type == typeof(ulong) ? $"a whole number from 0 to {ulong.MaxValue}"
            : $"a whole number from {int.MinValue} to {int.MaxValue}";
    }
}
