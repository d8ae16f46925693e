using System.IO.Enumeration;

namespace Tessera.Text.Corpora;

/// <summary>
/// Plain text, a document a file, from a folder and all under it, or from one file; <c>"kind": "text"</c> in a recipe.
/// A document's group is its path within the folder. One document alone is cut at line ends instead: its beginning
/// trains, then come validation and test, each with its share of the characters.
/// Binary files (with a zero byte), blank ones and those of a folder that are not in <see cref="Encoding"/> are left out and counted; line
/// ends become <c>\n</c>.
/// </summary>
/// <param name="Path">The folder or the file, from the recipe's folder; links to folders inside it are not followed.</param>
/// <param name="Patterns">Names of files to read, <c>*</c> for any run of characters and <c>?</c> for one; null for
/// <c>*.cs</c>, <c>*.md</c> and <c>*.txt</c>. A single file is read whatever its name.</param>
/// <param name="Exclude">Names of folders and files to leave out, in the same form; null for <c>bin</c>, <c>obj</c>,
/// <c>node_modules</c> and <c>.*</c>.</param>
public sealed record TextFolderOptions(
    string Path, IReadOnlyList<string>? Patterns = null, IReadOnlyList<string>? Exclude = null) : CorpusOptions
{
    private static readonly string[] _usualPatterns = ["*.cs", "*.md", "*.txt"];
    private static readonly string[] _usualExclusions = ["bin", "obj", "node_modules", ".*"];

    /// <summary>The encoding of the files: <c>utf-8</c>, <c>latin-1</c>, <c>windows-1252</c> or another name that IANA lists. A byte order
    /// mark of UTF-16 counts before it.</summary>
    public string Encoding { get; init; } = TextFile.Usual;

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireEncoding(Encoding);
        RequireText("path", Path);
        if (Patterns is { Count: 0 }) throw new ArgumentException("data.patterns is empty; leave it out to read *.cs, *.md and *.txt");
        RequireNames("patterns", Patterns);
        RequireNames("exclude", Exclude);
    }

    /// <inheritdoc/>
    protected override Corpus Read(string baseFolder, CancellationToken cancellationToken)
    {
        var path = System.IO.Path.GetFullPath(Path, baseFolder);
        var dropped = new DropCount();
        var (documents, undecoded) = (new List<Example>(), new List<(string Name, string Problem)>());
        foreach (var (file, name) in Files(path))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var text = TextFile.Text(file, Encoding, out var problem);
            if (problem is not null) undecoded.Add((name, file + problem));
            else if (text is null) dropped.Add("binary file");
            else if (string.IsNullOrWhiteSpace(text)) dropped.Add("blank file");
            else documents.Add(new Example(null, text, name));
        }

        if (undecoded.Count > 0 && documents.Count == 0)
            throw new InvalidDataException($"{undecoded[0].Problem}; say the encoding (data.encoding), such as latin-1 or windows-1252");
        if (undecoded.Count > 0) dropped[$"file that is not {Encoding}, such as {undecoded[0].Name}"] = undecoded.Count;
        return documents.Count == 1 ? Cut(documents[0], path, dropped) : GroupSplit.Divide(this, path, dropped, documents);
    }

    private List<(string File, string Name)> Files(string path)
    {
        if (File.Exists(path)) return [(path, System.IO.Path.GetFileName(path))];
        if (!Directory.Exists(path)) throw new DirectoryNotFoundException($"data.path: there is no folder or file {path}");

        var patterns = Patterns ?? _usualPatterns;
        var exclude = Exclude ?? _usualExclusions;
        var enumeration = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.None,
            IgnoreInaccessible = false,
        };
        var files = new FileSystemEnumerable<string>(path, (ref entry) => entry.ToFullPath(), enumeration)
        {
            ShouldRecursePredicate = (ref entry) =>
                (entry.Attributes & FileAttributes.ReparsePoint) == 0 && !Matches(exclude, entry.FileName),
            ShouldIncludePredicate = (ref entry) =>
                !entry.IsDirectory && Matches(patterns, entry.FileName) && !Matches(exclude, entry.FileName),
        };
        var found = files
            .Select(file => (File: file, Name: System.IO.Path.GetRelativePath(path, file).Replace('\\', '/')))
            .OrderBy(file => file.Name, StringComparer.Ordinal)
            .ToList();
        if (found.Count == 0)
            throw new InvalidDataException($"data.path: no file under {path} matches {string.Join(", ", patterns)}");
        return found;
    }

    private Corpus Cut(Example document, string origin, DropCount dropped)
    {
        var text = document.Target;
        var testStart = LineStart(text, 1 - TestFraction);
        var validationStart = LineStart(text, 1 - TestFraction - ValidationFraction);
        var train = Part(0, validationStart);
        if (train.Length == 0)
        {
            throw new InvalidDataException(
                $"{origin}: the one document has too few lines to be cut into train, validation and test; set the fractions to 0");
        }

        var (validation, test) = (Part(validationStart, testStart), Part(testStart, text.Length));
        return new Corpus(train, validation, test) { Origin = origin, Dropped = dropped };

        Example[] Part(int start, int end) => string.IsNullOrWhiteSpace(text[start..end])
            ? []
            : [new Example(null, text[start..end], $"{document.Group}[{start}..{end}]")];
    }

    /// <summary>The last start of a line up to a share of the text; the text's length for a share of 1.</summary>
    private static int LineStart(string text, double share)
    {
        var position = (int)(share * text.Length);
        return position >= text.Length ? text.Length : text.AsSpan(0, position).LastIndexOf('\n') + 1;
    }

    private static bool Matches(IReadOnlyList<string> patterns, ReadOnlySpan<char> name)
    {
        foreach (var pattern in patterns)
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false)) return true;
        }

        return false;
    }

    private static void RequireNames(string key, IReadOnlyList<string>? patterns)
    {
        for (var i = 0; i < patterns?.Count; i++)
        {
            RequireText($"{key}[{i}]", patterns[i]);
            if (patterns[i].AsSpan().ContainsAny('/', '\\'))
                throw new ArgumentException($"data.{key}[{i}] must be a file's or folder's name without separators, found {patterns[i]}");
        }
    }
}
