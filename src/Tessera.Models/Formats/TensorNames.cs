using System.IO.Enumeration;
using Tessera.Nn;

namespace Tessera.Models.Formats;

/// <summary>The table between the names of a model's parameters (ours) and those of a file's tensors (theirs), and how one lies in
/// the other. It is read in both directions: to load and to save.</summary>
public sealed class TensorNames
{
    private readonly OrderedDictionary<string, TensorLayout> _layouts = new(StringComparer.Ordinal);
    private readonly List<string> _ignored = [];

    /// <summary>What all names of a file may lack, as those of a model that was saved without its head: <c>transformer.</c> or
    /// <c>model.</c>; it is always written.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>What may stand where <see cref="Prefix"/> does, as where the model is a part of a greater one:
    /// <c>language_model.model.</c>; it is never written.</summary>
    public IReadOnlyList<string> OtherPrefixes { get; init; } = [];

    /// <summary>The layouts by our names, in the order in which they were added.</summary>
    internal IReadOnlyDictionary<string, TensorLayout> Layouts => _layouts;

    /// <summary>The table of our own files: each parameter by its full name, as it is.</summary>
    public static TensorNames Identity(Module model)
    {
        var names = new TensorNames();
        foreach (var (name, _) in model.Parameters()) names.Same(name, name);
        return names;
    }

    /// <summary>Ours is theirs as it is.</summary>
    public void Same(string ours, string theirs) => Add(new SameLayout(ours, theirs));

    /// <summary>Ours [rows, columns] is theirs [columns, rows].</summary>
    public void Transposed(string ours, string theirs) => Add(new TransposedLayout(ours, theirs));

    /// <summary>Ours is some of the rows of theirs, a matrix or a vector.</summary>
    /// <param name="ours">Our name; it says how many rows.</param>
    /// <param name="theirs">Their name.</param>
    /// <param name="first">The first row.</param>
    /// <param name="of">How many rows theirs has.</param>
    /// <param name="transposed">Whether theirs is a matrix [columns, of].</param>
    public void Rows(string ours, string theirs, int first, int of, bool transposed = false) =>
        Add(transposed ? new TransposedLayout(ours, theirs, first, of) : new RowsLayout(ours, theirs, first, of));

    /// <summary>Ours [count, …] is made of one tensor […] each.</summary>
    /// <param name="ours">Our name.</param>
    /// <param name="theirsPattern">Their names, with <c>{0}</c> for the number, from 0.</param>
    /// <param name="count">How many there are.</param>
    public void Stacked(string ours, string theirsPattern, int count) =>
        Add(new StackedLayout(ours, new NumberedNames(theirsPattern, count)));

    /// <summary>Ours is, of each head of theirs, one of several parts that follow one another: the rows of queries, keys and values of a
    /// head stand together. A matrix or a vector.</summary>
    /// <param name="ours">Our name.</param>
    /// <param name="theirs">Their name.</param>
    /// <param name="heads">How many heads there are.</param>
    /// <param name="part">Which part of a head ours is, from 0.</param>
    /// <param name="parts">How many equal parts a head has.</param>
    public void HeadRows(string ours, string theirs, int heads, int part, int parts) =>
        Add(new HeadRowsLayout(ours, theirs, heads, part, parts));

    /// <summary>Ours has the rows of each head in two halves, of which row i of one is rotated with row i of the other; in theirs, as
    /// llama.cpp orders them, the two stand next to each other. A matrix or a vector.</summary>
    public void PairedRows(string ours, string theirs, int heads) => Add(new PairedRowsLayout(ours, theirs, heads));

    /// <summary>Tensors of a file that say nothing new, such as a head that is tied to the embedding.</summary>
    /// <param name="theirsPattern">A name, with <c>*</c> for any characters.</param>
    public void Ignored(string theirsPattern) => _ignored.Add(theirsPattern);

    /// <summary>Adds a layout of another kind.</summary>
    /// <exception cref="ArgumentException">Our name is in the table already.</exception>
    internal void Add(TensorLayout layout)
    {
        if (!_layouts.TryAdd(layout.Ours, layout))
            throw new ArgumentException($"the table of names has '{layout.Ours}' twice", nameof(layout));
    }

    /// <summary>The same table with other layouts in the places of those of the same names.</summary>
    /// <param name="others">Of names that are in the table.</param>
    /// <param name="without">One of our names that is left out; may be null.</param>
    internal TensorNames With(IReadOnlyList<TensorLayout> others, string? without = null)
    {
        var names = new TensorNames { Prefix = Prefix, OtherPrefixes = OtherPrefixes };
        foreach (var layout in _layouts.Values.Where(layout => layout.Ours != without))
            names.Add(others.FirstOrDefault(other => other.Ours == layout.Ours) ?? layout);
        names._ignored.AddRange(_ignored);
        return names;
    }

    /// <summary>Whether a tensor of a file says nothing new.</summary>
    internal bool IsIgnored(string theirs) =>
        _ignored.Exists(pattern => Fits(pattern, theirs) || (Prefix.Length > 0 && Fits(pattern, Prefix + theirs)));

    private static bool Fits(string pattern, string name) => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);

    /// <summary>The name by which a source has a tensor, or null where it has none.</summary>
    internal string? Find(TensorSource source, string theirs) => Called(theirs).FirstOrDefault(source.Tensors.ContainsKey);

    /// <summary>What a tensor may be called in a file, the usual name first.</summary>
    internal IEnumerable<string> Called(string theirs)
    {
        if (Prefix.Length == 0 || !theirs.StartsWith(Prefix, StringComparison.Ordinal)) return [theirs];
        var bare = theirs[Prefix.Length..];
        return [theirs, bare, .. OtherPrefixes.Select(prefix => prefix + bare)];
    }
}
