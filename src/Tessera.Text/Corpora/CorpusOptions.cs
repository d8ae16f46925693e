using System.Text.Json.Serialization;

namespace Tessera.Text.Corpora;

/// <summary>
/// Names a corpus: the object under <c>"data"</c> in a recipe, told apart by its <c>"kind"</c>. A split that has no
/// file of its own takes its share of the training examples by a hash of their <see cref="Example.Group"/>, so that
/// the same group goes the same way on every machine and whatever else the corpus holds.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(ParallelFilesOptions), "parallel-files")]
[JsonDerivedType(typeof(JsonLinesOptions), "jsonl")]
[JsonDerivedType(typeof(TextFolderOptions), "text")]
[JsonDerivedType(typeof(ChatOptions), "chat")]
public abstract record CorpusOptions
{
    /// <summary>Share of the groups kept for validation where that split has no file: 0 to 0.5.</summary>
    public double ValidationFraction { get; init; } = 0.05;

    /// <summary>Share of the groups kept for testing where that split has no file: 0 to 0.5.</summary>
    public double TestFraction { get; init; } = 0.05;

    /// <summary>Which of the possible splits is drawn; any number.</summary>
    public int Seed { get; init; }

    /// <summary>Reads the corpus.</summary>
    /// <param name="baseFolder">The folder that relative paths start from: the recipe's.</param>
    /// <param name="cancellationToken">Stops the reading between two files or lines.</param>
    /// <exception cref="ArgumentException">An option is missing or out of range; the message starts with its key.</exception>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="DirectoryNotFoundException">A folder is missing.</exception>
    /// <exception cref="InvalidDataException">A file holds what its kind does not allow, or nothing is left to train on.</exception>
    public Corpus Load(string baseFolder, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(baseFolder);
        Validate();
        return Read(Path.GetFullPath(baseFolder), cancellationToken);
    }

    /// <summary>Checks every option that can be checked without opening a file.</summary>
    /// <exception cref="ArgumentException">An option is missing or out of range; the message starts with its key.</exception>
    public virtual void Validate()
    {
        RequireBetween("validationFraction", ValidationFraction, 0, 0.5);
        RequireBetween("testFraction", TestFraction, 0, 0.5);
    }

    /// <summary>Reads the corpus once its options are checked.</summary>
    /// <param name="baseFolder">The folder that relative paths start from, as a full path.</param>
    /// <param name="cancellationToken">Stops the reading between two files or lines.</param>
    protected abstract Corpus Read(string baseFolder, CancellationToken cancellationToken);

    /// <summary>Requires a number to lie between two others, both allowed.</summary>
    /// <param name="key">The option's key in a recipe, below <c>data</c>.</param>
    /// <param name="value">What it is; not a number is not allowed.</param>
    /// <param name="min">The least that is allowed.</param>
    /// <param name="max">The most that is allowed.</param>
    /// <exception cref="ArgumentException">It does not.</exception>
    protected static void RequireBetween(string key, double value, double min, double max)
    {
        if (!(value >= min && value <= max))
        {
            throw new ArgumentException(
                FormattableString.Invariant($"data.{key} must be between {min} and {max}, found {value}"));
        }
    }

    /// <summary>Requires the name of an encoding.</summary>
    /// <exception cref="ArgumentException">It is none.</exception>
    private protected static void RequireEncoding(string encoding)
    {
        if (TextFile.IsKnown(encoding)) return;
        throw new ArgumentException(
            $"data.encoding is '{encoding}'; "
            + "allowed: utf-8, utf-16, latin-1, windows-1252 and the other names of encodings that IANA lists");
    }

    /// <summary>Requires a text that is not blank.</summary>
    /// <param name="key">The option's key in a recipe, below <c>data</c>.</param>
    /// <param name="value">What it is.</param>
    /// <exception cref="ArgumentException">It is none.</exception>
    protected static void RequireText(string key, string? value)
    {
        if (string.IsNullOrWhiteSpace(value)) throw new ArgumentException($"data.{key} is missing or empty");
    }
}
