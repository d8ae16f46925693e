using Tessera.Nn;
using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>Matches the parameters of a model with the tensors of a source; only where all agree is any parameter changed.</summary>
internal sealed class WeightsLoader(Module model, TensorSource source, TensorNames names)
{
    private const int MaxShown = 3;

    /// <summary>With so many tensors missing no more are looked for: how many a model has may be a stranger's claim.</summary>
    private const int MaxMissing = 1000;

    private readonly List<Match> _matches = [];
    private readonly List<string> _missing = [];

    /// <summary>Makes the parameters read their weights from the source when they are touched.</summary>
    public void Load(bool asStored, bool maps)
    {
        MatchAll();
        RequireSameNames();
        RequireFits();
        foreach (var match in _matches) Bind(match, asStored, maps);
    }

    private void MatchAll()
    {
        var parameters = model.Parameters();
        foreach (var (name, parameter) in parameters)
        {
            if (!names.Layouts.TryGetValue(name, out var layout))
                throw new InvalidOperationException($"the table of names lacks the parameter '{name}'");
            var theirs = new List<string>();
            foreach (var wanted in layout.Theirs)
            {
                if (names.Find(source, wanted) is { } found) theirs.Add(found);
                else _missing.Add(wanted);
                if (_missing.Count == MaxMissing)
                    throw new InvalidDataException(
                        $"{source.Path}: does not have the model's tensors; missing: {NameList.Of(_missing)}, and maybe more");
            }

            _matches.Add(new Match(parameter, layout, theirs));
        }

        if (parameters.Count == names.Layouts.Count) return;
        var idle = names.Layouts.Keys.Except(parameters.Select(own => own.Name));
        throw new InvalidOperationException($"the table of names has names that the model lacks: {string.Join(", ", idle)}");
    }

    private void RequireSameNames()
    {
        var used = _matches.SelectMany(match => match.Theirs).ToHashSet(StringComparer.Ordinal);
        var unexpected = source.Tensors.Keys.Where(name => !used.Contains(name) && !names.IsIgnored(name)).ToList();
        if (_missing.Count + unexpected.Count == 0) return;
        throw new InvalidDataException(
            $"{source.Path}: does not have the model's tensors; missing: {NameList.Of([.. _missing.Distinct()])}; "
            + $"unexpected: {NameList.Of(unexpected)}");
    }

    private void RequireFits()
    {
        var problems = new List<string>();
        foreach (var match in _matches)
        {
            for (var index = 0; index < match.Theirs.Count; index++)
            {
                var (tensor, expected) = (source[match.Theirs[index]], match.Layout.ShapeOf(index, match.Parameter.Shape));
                if (!Sizes(tensor.Shape).SequenceEqual(Sizes(expected)))
                {
                    problems.Add(
                        $"tensor '{tensor.Name}' has the shape [{string.Join(", ", tensor.Shape)}], "
                        + $"in the model [{string.Join(", ", expected)}]");
                }
                else
                {
                    tensor.RequireBlock(source.Path);
                }
            }
        }

        if (problems.Count == 0) return;
        var more = problems.Count > MaxShown ? $"; and {problems.Count - MaxShown} more" : "";
        throw new InvalidDataException($"{source.Path}: {string.Join("; ", problems.Take(MaxShown))}{more}");
    }

    /// <summary>The sizes of a shape without ones in front: a matrix of one row may be stored as a vector.</summary>
    private static IEnumerable<long> Sizes(IReadOnlyList<long> shape) => shape.SkipWhile(size => size == 1);

    private void Bind(Match match, bool asStored, bool maps)
    {
        var (parameter, layout, theirs) = match;
        var stored = source[theirs[0]].Element;
        var isKept = asStored && parameter.MayBeStored && stored is { } element && element.IsReal() && layout.Keeps(element)
            && theirs.TrueForAll(name => source[name].Element == stored);
        var type = isKept ? stored!.Value : ElementType.F32;
        // Vectors are never used where they lie: parts may change them, as a router its bias.
        var isView = asStored && maps && layout.IsSame && type == stored && parameter.Shape.Rank > 1
            && source[theirs[0]].Shape.Count == parameter.Shape.Rank && source.CanView(theirs[0]);
        if (isView) parameter.ReadFrom(() => source.View(theirs[0]), type, isFixed: true);
        else parameter.ReadFrom(() => Read(parameter.Shape, type, layout, theirs), type, isFixed: asStored);
    }

    private Tensor Read(Shape shape, ElementType type, TensorLayout layout, List<string> theirs)
    {
        if (type.Bytes(shape.Count) > int.MaxValue)
        {
            throw new InvalidDataException(
                $"{source.Path}: tensor '{theirs[0]}' is {shape}, which as {type} takes 2 GiB or more; "
                + "it can only be used in the type it is stored in");
        }

        var tensor = Tensor.Allocate(shape, type);
        layout.Read(new TheirTensors(source, theirs), tensor);
        return tensor;
    }

    private sealed record Match(Parameter Parameter, TensorLayout Layout, List<string> Theirs);
}
