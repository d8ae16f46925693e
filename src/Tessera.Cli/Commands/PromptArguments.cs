using System.CommandLine;
using System.Text;
using Tessera.Generation;

namespace Tessera.Cli.Commands;

/// <summary>Where prompts come from and how they are cut: arguments, files or standard input.</summary>
internal sealed class PromptArguments
{
    private readonly Argument<string[]> _texts = new("text")
    {
        Description = "Prompts; read from standard input where there is neither a text nor a file.", Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string[]> _files = new("--prompt-file")
    {
        Description = "A file that is one prompt, lines and all but its last line end. May be repeated.",
        AllowMultipleArgumentsPerToken = false, DefaultValueFactory = _ => [],
    };

    private readonly Option<bool> _lines = new("--lines")
    {
        Description = "Each line of the files or of standard input is a prompt of its own.",
    };

    private readonly Option<int?> _context = new("--context")
    {
        Description = "The most tokens that a prompt may have; as many as the model can read unless said.",
    };

    private readonly Option<string?> _truncate = new("--truncate")
    {
        Description = "Cut prompts that are too long, rather than refusing them: 'start' cuts their beginning, 'end' their end. Without "
            + "--context a decoder keeps half of its positions for the answer.",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Arguments.Add(_texts);
        foreach (var option in new Option[] { _files, _lines, _context, _truncate }) command.Options.Add(option);
    }

    /// <summary>How prompts are cut.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public PromptLimit Limit(ParseResult parsed)
    {
        if (parsed.GetValue(_context) is < 1 and var context) throw new ArgumentException($"--context is {context}; allowed: at least 1");
        return new PromptLimit(parsed.GetValue(_context), parsed.GetValue(_truncate) switch
        {
            null => null,
            "start" => PromptEnd.Start,
            "end" => PromptEnd.End,
            var other => throw new ArgumentException($"--truncate is '{other}'; allowed: start, end"),
        });
    }

    /// <summary>The prompts.</summary>
    /// <exception cref="ArgumentException">There are none, or options contradict each other.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidDataException">A file is not UTF-8.</exception>
    public string[] Read(ParseResult parsed)
    {
        var (texts, files, byLine) = (parsed.GetValue(_texts) ?? [], parsed.GetValue(_files) ?? [], parsed.GetValue(_lines));
        if (texts.Length > 0 && files.Length > 0) throw new ArgumentException("a text and --prompt-file exclude each other");
        if (texts.Length > 0 && byLine) throw new ArgumentException("--lines does nothing to a text that is given as an argument");
        if (texts.Length > 0) return texts;
        IEnumerable<(string Place, string Text)> sources = files.Length > 0 ? files.Select(ReadFile)
            : Console.IsInputRedirected ? [("standard input", Console.In.ReadToEnd())]
            : [];
        string[] prompts = [.. sources.SelectMany(source => byLine ? Lines(source.Place, source.Text) : [WithoutLastLineEnd(source.Text)])];
        return prompts.Length > 0 && (files.Length > 0 || prompts[0].Length > 0)
            ? prompts
            : throw new ArgumentException("there is no text to start from: give it as an argument, by --prompt-file or on standard input");
    }

    private static (string Place, string Text) ReadFile(string path)
    {
        var bytes = File.ReadAllBytes(path);
        try
        {
            return (path, new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes).TrimStart('\uFEFF'));
        }
        catch (DecoderFallbackException error)
        {
            throw new InvalidDataException($"{path}: byte 0x{error.BytesUnknown![0]:X2} at offset {error.Index} is not valid UTF-8", error);
        }
    }

    private static string WithoutLastLineEnd(string text) => text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2]
        : text.EndsWith('\n') ? text[..^1]
        : text;

    private static IEnumerable<string> Lines(string place, string text)
    {
        if (text.Length == 0) yield break;
        var number = 0;
        foreach (var line in WithoutLastLineEnd(text).Split('\n').Select(line => line.TrimEnd('\r')))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) throw new ArgumentException($"line {number} of {place} is empty; each line is a prompt");
            yield return line;
        }
    }
}
