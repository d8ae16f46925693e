using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Tessera.Tensors;

/// <summary>
/// The sizes of a tensor's axes, outermost first: up to <see cref="MaximumRank"/> of them, none negative; a scalar has
/// none. Written as a collection expression: <c>Shape shape = [batch, length, width];</c>.
/// </summary>
[CollectionBuilder(typeof(Shape), nameof(Create))]
public readonly struct Shape : IEquatable<Shape>
{
    /// <summary>The greatest number of axes.</summary>
    public const int MaximumRank = 5;

    private readonly Sizes _sizes;

    /// <summary>A shape of the given sizes.</summary>
    /// <exception cref="ArgumentException">More than <see cref="MaximumRank"/> axes, or a negative size.</exception>
    public Shape(params ReadOnlySpan<int> sizes)
    {
        if (sizes.Length > MaximumRank)
            throw new ArgumentException($"a shape has at most {MaximumRank} axes, found {sizes.Length}", nameof(sizes));
        for (var axis = 0; axis < sizes.Length; axis++)
        {
            if (sizes[axis] < 0)
                throw new ArgumentException($"axis {axis} has the negative size {sizes[axis]}", nameof(sizes));
            _sizes[axis] = sizes[axis];
        }

        Rank = sizes.Length;
    }

    /// <summary>The number of axes, 0 to <see cref="MaximumRank"/>.</summary>
    public int Rank { get; }

    /// <summary>The number of elements: the product of the sizes, 1 for a scalar.</summary>
    public long Count
    {
        get
        {
            var count = 1L;
            for (var axis = 0; axis < Rank; axis++) count = checked(count * _sizes[axis]);
            return count;
        }
    }

    /// <summary>The size of the innermost axis; 1 for a scalar.</summary>
    public int Width => Rank == 0 ? 1 : _sizes[Rank - 1];

    /// <summary>The number of rows when all axes but the innermost are taken as one.</summary>
    public int Rows
    {
        get
        {
            var rows = 1; // not the count over the width: rows may be of no elements
            for (var axis = 0; axis < Rank - 1; axis++) rows = checked(rows * _sizes[axis]);
            return rows;
        }
    }

    /// <summary>The size of one axis; <c>^1</c> is the innermost.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public int this[Index axis]
    {
        get
        {
            var offset = axis.GetOffset(Rank);
            if ((uint)offset >= (uint)Rank) throw new ArgumentOutOfRangeException(nameof(axis), $"shape {this} has no axis {axis}");
            return _sizes[offset];
        }
    }

    /// <summary>Builds a shape from a collection expression.</summary>
    public static Shape Create(ReadOnlySpan<int> sizes) => new(sizes);

    /// <summary>The sizes as a span over this value.</summary>
    [UnscopedRef]
    public ReadOnlySpan<int> AsSpan() => ((ReadOnlySpan<int>)_sizes)[..Rank];

    /// <summary>Walks the sizes, outermost first.</summary>
    [UnscopedRef]
    public ReadOnlySpan<int>.Enumerator GetEnumerator() => AsSpan().GetEnumerator();

    /// <summary>The same shape with another innermost size.</summary>
    public Shape WithWidth(int width)
    {
        Span<int> sizes = stackalloc int[Math.Max(Rank, 1)];
        AsSpan().CopyTo(sizes);
        sizes[^1] = width;
        return new Shape(sizes);
    }

    /// <summary>The shape with one more axis, innermost.</summary>
    public Shape Append(int size)
    {
        Span<int> sizes = stackalloc int[Rank + 1];
        AsSpan().CopyTo(sizes);
        sizes[^1] = size;
        return new Shape(sizes);
    }

    /// <inheritdoc/>
    public bool Equals(Shape other) => AsSpan().SequenceEqual(other.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var size in this) hash.Add(size);
        return hash.ToHashCode();
    }

    /// <summary>The sizes in brackets: <c>[2, 3, 4]</c>.</summary>
    public override string ToString() => $"[{string.Join(", ", AsSpan().ToArray())}]";

    /// <summary>Whether two shapes have the same sizes.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>Whether two shapes differ.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);

    [InlineArray(MaximumRank)]
    private struct Sizes
    {
        private int _first;
    }
}
