using Tessera.Tensors;

namespace Tessera.Nn;

/// <summary>A tensor of a <see cref="Module"/> that is saved with it: trained, or changed by its part alone. Its memory is taken
/// and its numbers are drawn or read when <see cref="Value"/> is first touched, so that a model that is only looked at costs
/// nothing, and one whose weights come from a file draws none.</summary>
public sealed class Parameter
{
    private readonly Lock _making = new();
    private volatile Tensor? _value;
    private Func<Tensor>? _make;
    private bool _isFixed;

    /// <summary>A parameter that is there.</summary>
    /// <param name="value">An owned F32 tensor, which collects a gradient where it is trained.</param>
    /// <param name="decays">Whether weight decay applies: matrices, not biases and norms.</param>
    public Parameter(Tensor value, bool decays) =>
        (_value, Shape, IsTrained, Decays) = (value, value.Shape, value.RequiresGradient, decays);

    /// <summary>A parameter that is made when it is first touched.</summary>
    /// <param name="shape">Its shape.</param>
    /// <param name="decays">Whether weight decay applies: matrices, not biases and norms.</param>
    /// <param name="isTrained">Whether an optimizer may change it.</param>
    /// <param name="make">Gives an owned F32 tensor of this shape, the same at each call.</param>
    public Parameter(Shape shape, bool decays, bool isTrained, Func<Tensor> make) =>
        (Shape, Decays, IsTrained, _make) = (shape, decays, isTrained, make);

    /// <summary>The shape of <see cref="Value"/>, known without touching it.</summary>
    public Shape Shape { get; }

    /// <summary>Whether an optimizer may change it.</summary>
    public bool IsTrained { get; }

    /// <summary>Whether it stays as it is for now: its gradient is neither computed nor kept, and its part does not change it.</summary>
    public bool IsFrozen
    {
        get;
        set
        {
            lock (_making)
            {
                field = value;
                if (_value is null || !CanLearn) return;
                if (value) _value.DropGradient();
                else _value.WithGradient();
            }
        }
    }

    /// <summary>Whether weight decay applies.</summary>
    public bool Decays { get; }

    /// <summary>Whether its part can compute with weights stored in another type than F32: as BF16, F16 or quantized.</summary>
    public bool MayBeStored { get; init; }

    /// <summary>What the elements of <see cref="Value"/> are, known without touching it.</summary>
    public ElementType Type { get; private set; }

    /// <summary>Whether the weights have been made or read.</summary>
    public bool IsMade => _value is not null;

    /// <summary>The mapped file in which the weights lie; null where they do not, or have not been read.</summary>
    public MappedMemory? MappedIn => _value?.MappedIn;

    /// <summary>The weights, with their gradient where they are trained. Any number of threads may ask.</summary>
    /// <exception cref="System.IO.IOException">They are read from a file, which cannot be read.</exception>
    public Tensor Value => _value ?? Make();

    /// <summary>The weights as they are now; where they have not been made, a copy for the caller, which is not kept: for files
    /// larger than memory.</summary>
    public Tensor Peek()
    {
        Func<Tensor> make;
        lock (_making)
        {
            if (_value is { } made) return made;
            make = _make!;
        }

        return Checked(make());
    }

    /// <summary>Says where the weights come from. Those that were there are forgotten, and none is read before it is needed.</summary>
    /// <param name="source">Gives an owned tensor of this shape and <paramref name="type"/>, the same at each call.</param>
    /// <param name="type">What its elements are.</param>
    /// <param name="isFixed">Whether the tensor collects no gradient, whatever <see cref="IsTrained"/> says, as one that lies in a
    /// mapped file and cannot be changed.</param>
    public void ReadFrom(Func<Tensor> source, ElementType type = ElementType.F32, bool isFixed = false)
    {
        lock (_making) (_value, _make, Type, _isFixed) = (null, source, type, isFixed);
    }

    /// <summary>The weights as F32 in memory of their own, which may be written to: those that were stored in another type, or in a file,
    /// become that.</summary>
    public Tensor Writable()
    {
        var value = Value;
        if (Type == ElementType.F32 && !_isFixed) return value;
        var widened = Tensor.Allocate(Shape);
        Op.Convert(value, widened);
        ReadFrom(() => widened);
        return Value;
    }

    /// <summary>Whether the weights, as they are stored, can collect a gradient and be changed.</summary>
    private bool CanLearn => IsTrained && !_isFixed && Type == ElementType.F32;

    private Tensor Make()
    {
        lock (_making)
        {
            if (_value is { } made) return made;
            var value = Checked(_make!());
            if (CanLearn && !IsFrozen) value.WithGradient();
            (_value, _make) = (value, null);
            return value;
        }
    }

    private Tensor Checked(Tensor value) => value.Shape == Shape && value.Type == Type
        ? value
        : throw new InvalidOperationException($"a parameter that is {Type} {Shape} was given {value}");
}
