using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors;

/// <summary>
/// A dense, row-major array of numbers in native memory, aligned to 64 bytes.
/// <para>A tensor is either <em>owned</em> (<see cref="Allocate"/>: it lives as long as something refers to it, as
/// weights and caches do) or <em>temporary</em> (<see cref="Temporary"/> and the result of every operation: it lives in
/// the current <see cref="Arena"/> until the scope it was made in ends). A temporary that is read after its scope
/// throws <see cref="ObjectDisposedException"/>; copy it out with <see cref="ToArray"/> or <see cref="Keep"/>.</para>
/// </summary>
public sealed unsafe class Tensor
{
    private nint _address;
    private object? _owner;
    private bool _isTemporary;
    private Shape _shape;
    private ElementType _type;

    /// <summary>What is packed of a parameter for products in fewer bits.</summary>
    internal PackedParameter? Packed;

    internal Tensor() { }

    /// <summary>The mapped file in which the elements lie; null where they lie in memory.</summary>
    public MappedMemory? MappedIn => _owner as MappedMemory;

    /// <summary>The sizes of the axes.</summary>
    public Shape Shape
    {
        get
        {
            Live();
            return _shape;
        }
    }

    /// <summary>What an element is.</summary>
    public ElementType Type
    {
        get
        {
            Live();
            return _type;
        }
    }

    /// <summary>Whether a gradient of this tensor is wanted or leads to one that is.</summary>
    public bool RequiresGradient => Live() != 0 && Slot is not null;

    /// <summary>The elements of an F32 tensor, row-major; valid as long as something refers to the tensor.</summary>
    /// <exception cref="ShapeException">The tensor holds another type.</exception>
    public Span<float> Floats
    {
        get
        {
            ShapeException.Require(Type == ElementType.F32, "read", "tensor", this, "F32");
            return new Span<float>((void*)Live(), checked((int)Shape.Count));
        }
    }

    /// <summary>The elements of an I32 tensor, row-major; valid as long as something refers to the tensor.</summary>
    /// <exception cref="ShapeException">The tensor holds another type.</exception>
    public Span<int> Ints
    {
        get
        {
            ShapeException.Require(Type == ElementType.I32, "read", "tensor", this, "I32");
            return new Span<int>((void*)Live(), checked((int)Shape.Count));
        }
    }

    /// <summary>The elements as raw bytes; valid as long as something refers to the tensor.</summary>
    public Span<byte> Bytes => new((void*)Live(), checked((int)Type.Bytes(Shape.Count)));

    /// <summary>The gradient after <see cref="Tape.Backward(Tensor, float)"/> of a parameter or of an input whose gradient was
    /// asked for: as many elements as the tensor has, or none where no gradient has reached it. The results of operations
    /// pass theirs on and keep none.</summary>
    public Span<float> Gradient => RequiresGradient && Slot is { HasValue: true } slot ? slot.Values : default;

    internal GradientSlot? Slot { get; set; }

    /// <summary>Whether this is an owned tensor that collects a gradient.</summary>
    internal bool IsParameter => !_isTemporary && Slot is not null;

    /// <summary>An owned tensor of zeros.</summary>
    /// <exception cref="ShapeException">The innermost axis is not a multiple of the type's block.</exception>
    public static Tensor Allocate(Shape shape, ElementType type = ElementType.F32)
    {
        var buffer = new NativeBuffer(type.Bytes(shape));
        return new Tensor { _shape = shape, _type = type, _owner = buffer, _address = buffer.Address };
    }

    /// <summary>An owned F32 tensor of zeros that collects a gradient (its memory is taken when one first arrives).</summary>
    public static Tensor AllocateParameter(Shape shape) => Allocate(shape).WithGradient();

    /// <summary>An owned tensor over memory that somebody else fills, such as a mapped file: its elements are those found there, and
    /// may be written only where that memory may.</summary>
    /// <param name="address">Where the elements are, a multiple of the size of what they are made of: 4 for F32 and I32, else 2.</param>
    /// <param name="shape">How many there are.</param>
    /// <param name="type">What they are.</param>
    /// <param name="owner">Keeps the memory where it is as long as something refers to it; the tensor does.</param>
    /// <exception cref="ShapeException">The innermost axis is not a multiple of the type's block.</exception>
    /// <exception cref="ArgumentException">The address is not such a multiple.</exception>
    public static Tensor Over(nint address, Shape shape, ElementType type, object owner)
    {
        type.Require(shape);
        var unit = type is ElementType.F32 or ElementType.I32 ? 4 : 2;
        if (address == 0 || address % unit != 0)
            throw new ArgumentException($"the address {address:X} of {type} {shape} is not a multiple of {unit}", nameof(address));
        return new Tensor
        {
            _shape = shape,
            _type = type,
            _owner = owner,
            _address = address,
        };
    }

    /// <summary>A temporary tensor in the current arena; its elements are not set.</summary>
    /// <exception cref="ShapeException">The innermost axis is not a multiple of the type's block.</exception>
    public static Tensor Temporary(Shape shape, ElementType type = ElementType.F32) => Arena.Current.Tensor(shape, type);

    /// <summary>A temporary F32 tensor holding a copy of <paramref name="values"/>.</summary>
    /// <exception cref="ArgumentException">The number of values is not the shape's.</exception>
    public static Tensor From(ReadOnlySpan<float> values, Shape shape)
    {
        RequireCount(values.Length, shape);
        var tensor = Temporary(shape);
        values.CopyTo(tensor.Floats);
        return tensor;
    }

    /// <summary>A temporary I32 tensor holding a copy of <paramref name="values"/>.</summary>
    /// <exception cref="ArgumentException">The number of values is not the shape's.</exception>
    public static Tensor From(ReadOnlySpan<int> values, Shape shape)
    {
        RequireCount(values.Length, shape);
        var tensor = Temporary(shape, ElementType.I32);
        values.CopyTo(tensor.Ints);
        return tensor;
    }

    /// <summary>Asks for this tensor's gradient, as of an input whose gradient is wanted; it lives as long as the tensor.</summary>
    /// <exception cref="ShapeException">The tensor is not F32.</exception>
    public Tensor WithGradient()
    {
        ShapeException.Require(Type == ElementType.F32, "with gradient", "tensor", this, "F32");
        if (RequiresGradient) return this;
        var count = checked((int)Shape.Count);
        Slot = _isTemporary ? Arena.Current.Slot(count) : new GradientSlot(count, arena: null);
        return this;
    }

    /// <summary>No longer asks for this tensor's gradient, which is forgotten and its memory given up; <see cref="WithGradient"/> asks
    /// anew.</summary>
    public void DropGradient() => Slot = null;

    /// <summary>The same elements (and gradient) under another shape; free.</summary>
    /// <exception cref="ShapeException">The number of elements differs, or rows would not be whole blocks of the type.</exception>
    public Tensor Reshape(Shape shape)
    {
        if (shape.Count != Shape.Count) throw new ShapeException($"reshape: {Shape} cannot become {shape}");
        var view = View(shape, 0);
        view.Slot = Slot;
        return view;
    }

    /// <summary>The leading <paramref name="count"/> entries of the outermost axis, without a gradient; free.</summary>
    /// <exception cref="ShapeException">There are not so many, or they are not whole blocks of the type.</exception>
    public Tensor First(int count)
    {
        ShapeException.Require(Shape.Rank > 0 && (uint)count <= (uint)Shape[0], "first", "tensor", this, $"at least {count} entries");
        Span<int> sizes = stackalloc int[Shape.Rank];
        Shape.AsSpan().CopyTo(sizes);
        sizes[0] = count;
        return View(new Shape(sizes), 0);
    }

    /// <summary>Consecutive entries of the outermost axis, without a gradient; free.</summary>
    /// <param name="start">The first of them.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="ShapeException">There are not so many, or they do not begin and end with whole blocks of the type.</exception>
    public Tensor Slice(int start, int count)
    {
        ShapeException.Require(
            Shape.Rank > 0 && start >= 0 && count >= 0 && start <= Shape[0] - count,
            "slice", "tensor", this, $"{count} entries from {start} on");
        Span<int> sizes = stackalloc int[Shape.Rank];
        Shape.AsSpan().CopyTo(sizes);
        sizes[0] = start;
        var offset = new Shape(sizes);
        Type.Require(offset);
        sizes[0] = count;
        return View(new Shape(sizes), offset.Count);
    }

    /// <summary>An owned copy, without a gradient.</summary>
    public Tensor Keep()
    {
        var copy = Allocate(Shape, Type);
        Bytes.CopyTo(copy.Bytes);
        GC.KeepAlive(this); // a span does not keep its memory
        return copy;
    }

    /// <summary>The elements of an F32 tensor as an array.</summary>
    public float[] ToArray()
    {
        var elements = Floats.ToArray();
        GC.KeepAlive(this);
        return elements;
    }

    /// <summary>The single element of a scalar F32 tensor.</summary>
    /// <exception cref="ShapeException">The tensor has more elements or none.</exception>
    public float Item()
    {
        ShapeException.Require(Shape.Count == 1, "item", "tensor", this, "one element");
        var element = Floats[0];
        GC.KeepAlive(this);
        return element;
    }

    /// <summary>Forgets the gradient; the next one replaces it.</summary>
    public void ClearGradient() => Slot?.Clear();

    /// <summary>Type and shape, such as <c>F32 [2, 3]</c>.</summary>
    public override string ToString() => $"{_type} {_shape}";

    /// <summary>A view of <paramref name="shape"/> elements starting at element <paramref name="offset"/>, where a block of the
    /// type begins, without a gradient.</summary>
    internal Tensor View(Shape shape, long offset)
    {
        Type.Require(shape);
        var view = Arena.Current.Blank();
        view.Bind(Live() + (nint)Type.Bytes(offset), shape, Type);
        view._owner = _owner; // keeps owned memory alive as long as the view
        return view;
    }

    internal void Bind(nint address, Shape shape, ElementType type)
    {
        (_address, _shape, _type, _owner, _isTemporary, Slot) = (address, shape, type, null, true, null);
    }

    internal void Release() => (_address, _owner, Slot) = (0, null, null);

    private static void RequireCount(int found, Shape shape)
    {
        if (found != shape.Count) throw new ArgumentException($"{found} values do not fill shape {shape}");
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private nint Live()
    {
        if (_address == 0) ThrowEnded();
        return _address;
    }

    [DoesNotReturn]
    private static void ThrowEnded() =>
        throw new ObjectDisposedException(
            nameof(Tensor), "this temporary tensor's arena scope has ended; use Keep() or ToArray() inside it");
}
