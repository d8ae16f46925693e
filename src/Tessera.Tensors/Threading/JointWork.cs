using System.Runtime.CompilerServices;
using Tessera.Tensors.Kernels;

namespace Tessera.Tensors.Threading;

/// <summary>
/// Several kernels as one job of the team, where none needs what another gives: the threads meet once, not once a kernel, and parts of
/// one fill up what another leaves idle. Between <see cref="Open"/> and <see cref="Close"/> kernels that <see cref="Add"/> are only noted;
/// <see cref="Run()"/> does them. Which parts a kernel has does not change, and so neither do its bits.
/// <para>What the kernels read and write must stay where it is until then. It must not be copied while it is open.</para>
/// </summary>
internal unsafe struct JointWork : IParallelWork
{
    private const int Max = 4, WorkBytes = 320;

    [ThreadStatic] private static JointWork* t_open;

    private fixed byte _works[Max * WorkBytes];
    private fixed long _run[Max];
    private fixed int _end[Max];
    private int _count;

    /// <summary>From here on kernels that this thread starts are noted.</summary>
    /// <exception cref="InvalidOperationException">Another one is open, which would lose what comes after.</exception>
    public void Open()
    {
        if (t_open is not null) throw new InvalidOperationException("kernels are being noted for another job of this thread");
        t_open = (JointWork*)Unsafe.AsPointer(ref this);
    }

    /// <summary>From here on kernels run at once.</summary>
    public static void Close() => t_open = null;

    /// <summary>Notes a kernel's work, or runs it where nothing is open, there is no room, or nothing to share.</summary>
    public static void Add<TWork>(ref TWork work, int parts) where TWork : unmanaged, IVectorWork
    {
        var joint = t_open;
        if (joint is null || joint->_count == Max || sizeof(TWork) > WorkBytes || Simd.Threads == 1) Simd.Run(ref work, parts);
        else joint->Note(ref work, parts);
    }

    /// <summary>Does what has been noted.</summary>
    public void Run()
    {
        if (_count > 0) ThreadTeam.Shared.Run(ref this, _end[_count - 1]);
    }

    /// <inheritdoc/>
    public void Run(int part)
    {
        var (index, first) = (0, 0);
        for (; part >= _end[index]; index++) first = _end[index];
        fixed (byte* works = _works) ((delegate*<void*, int, void>)_run[index])(works + (index * WorkBytes), part - first);
    }

    private void Note<TWork>(ref TWork work, int parts) where TWork : unmanaged, IVectorWork
    {
        Unsafe.WriteUnaligned(ref _works[_count * WorkBytes], work);
        _run[_count] = (long)Simd.PartOf<TWork>();
        _end[_count] = parts + (_count == 0 ? 0 : _end[_count - 1]);
        _count++;
    }
}
