using System.CommandLine;
using Tessera.Evaluation.Tasks;
using Tessera.Text.Corpora;

namespace Tessera.Cli.Commands;

/// <summary>The options that name texts to measure a model on.</summary>
internal sealed class TextArguments
{
    private readonly Option<string[]> _text = new("--text")
    {
        Description = "Text files, or folders of them (*.cs, *.md, *.txt): the model's perplexity on them.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [],
    };
    private readonly Option<int?> _context = new("--context")
    {
        Description = "Tokens that the model reads at once; as many as it was trained on, at most 1,024, unless given.",
    };
    private readonly Option<int?> _stride = new("--stride")
    {
        Description = "How many tokens further on the next stretch begins: 1 to context − 1; half the context unless given.",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_text);
        command.Options.Add(_context);
        command.Options.Add(_stride);
    }

    /// <summary>Whether texts are named.</summary>
    public bool AreGiven(ParseResult parsed) => parsed.GetValue(_text) is { Length: > 0 };

    /// <summary>Throws where an option that belongs to texts stands without them.</summary>
    /// <exception cref="ArgumentException">It is so.</exception>
    public void RequireNone(ParseResult parsed)
    {
        foreach (var option in (Option<int?>[])[_context, _stride])
            if (parsed.GetValue(option) is not null) throw new ArgumentException($"{option.Name} needs --text");
    }

    /// <summary>Reads the texts.</summary>
    /// <exception cref="FileNotFoundException">There is no such file or folder.</exception>
    /// <exception cref="InvalidDataException">A file is no text.</exception>
    public NamedTexts Read(ParseResult parsed, CancellationToken cancellation)
    {
        var (paths, texts) = (parsed.GetValue(_text)!, new List<string>());
        foreach (var path in paths)
        {
            if (!File.Exists(path) && !Directory.Exists(path))
                throw new FileNotFoundException($"--text: there is no file or folder '{path}'", path);
            var options = new TextFolderOptions(path) { ValidationFraction = 0, TestFraction = 0 };
            var corpus = options.Load(Directory.GetCurrentDirectory(), cancellation);
            foreach (var (reason, count) in corpus.Dropped) CommonOptions.Note($"{path}: left out {count}: {reason}");
            texts.AddRange(corpus.Train.Select(example => example.Target));
        }

        return new NamedTexts(string.Join(", ", paths), texts, new TextEvaluation(parsed.GetValue(_context), parsed.GetValue(_stride)));
    }
}

/// <summary>Texts to measure a model on.</summary>
/// <param name="Name">Where they came from.</param>
/// <param name="Texts">The texts.</param>
/// <param name="Evaluation">How they are read.</param>
internal sealed record NamedTexts(string Name, IReadOnlyList<string> Texts, TextEvaluation Evaluation);
