using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Tessera.Tensors.Threading;

/// <summary>Work that can be done in parts, in any order and on any thread; parts must not write to the same place.</summary>
internal interface IParallelWork
{
    void Run(int part);
}

/// <summary>
/// The threads that do the parts of a kernel. The caller works too; the others spin for a moment after each job, because
/// the next one usually follows within microseconds, and then sleep. Starting a job allocates nothing.
/// </summary>
internal sealed unsafe class ThreadTeam
{
    private const int SpinsBeforeSleep = 200;

    [ThreadStatic] private static bool s_working;

    private readonly SemaphoreSlim _wake = new(0);
    private readonly Lock _oneJobAtATime = new();
    private int _sleeping;

    // The current job. Its fields are written before _ticket is published and stay until all parts are done.
    private void* _work;
    private delegate*<void*, int, void> _run;
    private int _parts;
    private int _done;
    private Exception? _failure;

    /// <summary>High half: the job's number. Low half: the next part to be taken.</summary>
    private long _ticket;

    internal ThreadTeam(int threads)
    {
        Threads = threads;
        for (var i = 1; i < threads; i++)
            new Thread(Work) { IsBackground = true, Name = $"tessera-{i}" }.Start();
    }

    /// <summary>The team of this process: <c>TESSERA_THREADS</c> threads, or one a processor.</summary>
    public static ThreadTeam Shared { get; } = new(Wanted(Environment.GetEnvironmentVariable("TESSERA_THREADS")));

    /// <summary>How many threads work, the caller included.</summary>
    public int Threads { get; }

    /// <summary>Runs parts 0 to <paramref name="parts"/> − 1 of <paramref name="work"/> and returns when all are done; an
    /// exception in one of them is thrown again here.</summary>
    public void Run<TWork>(ref TWork work, int parts) where TWork : struct, IParallelWork, allows ref struct
    {
        if (KernelProfile.IsOn && !s_working && KernelProfile.TryEnter(out var start))
        {
            Run(ref work, parts);
            KernelProfile.Leave(typeof(TWork), start);
            return;
        }

        // Inside a part, or while another thread's job has the team, the caller does its own work alone.
        if (parts <= 1 || Threads == 1 || s_working || !_oneJobAtATime.TryEnter())
        {
            for (var part = 0; part < parts; part++) work.Run(part);
            return;
        }

        try
        {
            Start(Unsafe.AsPointer(ref work), &RunPart<TWork>, parts);
        }
        finally
        {
            _oneJobAtATime.Exit();
        }
    }

    private static void RunPart<TWork>(void* work, int part) where TWork : struct, IParallelWork, allows ref struct =>
        Unsafe.AsRef<TWork>(work).Run(part);

    internal static int Wanted(string? text)
    {
        if (string.IsNullOrEmpty(text)) return Environment.ProcessorCount;
        return int.TryParse(text, out var threads) && threads is >= 1 and <= 1024
            ? threads
            : throw new InvalidOperationException($"TESSERA_THREADS must be a number from 1 to 1024, found '{text}'");
    }

    private void Start(void* work, delegate*<void*, int, void> run, int parts)
    {
        // Closed first: with the old ticket and the new number of parts a late thread would take a part that is not there.
        var job = (_ticket >> 32) + 1;
        Interlocked.Exchange(ref _ticket, (job << 32) | int.MaxValue);
        _work = work;
        _run = run;
        (_parts, _done, _failure) = (parts, 0, null);
        Interlocked.Exchange(ref _ticket, (job + 1) << 32); // a full fence: it is out before the sleepers are counted
        var sleeping = Volatile.Read(ref _sleeping);
        if (sleeping > 0) _wake.Release(Math.Min(sleeping, parts - 1));

        s_working = true;
        while (TryTakePart()) { }
        s_working = false;

        var spinner = default(SpinWait);
        while (Volatile.Read(ref _done) < parts) spinner.SpinOnce(sleep1Threshold: -1);
        if (_failure is { } failure) ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Takes and does one part; false where none is left. A part is taken only by whoever moves the ticket on,
    /// which can succeed only while its job is still the current one.</summary>
    private bool TryTakePart()
    {
        var ticket = Volatile.Read(ref _ticket);
        var work = _work;
        var run = _run;
        var parts = Volatile.Read(ref _parts);
        var part = (int)(uint)ticket;
        if (part >= parts) return false;
        if (Interlocked.CompareExchange(ref _ticket, ticket + 1, ticket) != ticket) return true;
        try
        {
            run(work, part);
        }
        catch (Exception failure)
        {
            _failure = failure;
        }

        Interlocked.Increment(ref _done);
        return true;
    }

    private void Work()
    {
        s_working = true;
        var idle = 0;
        while (true)
        {
            if (TryTakePart())
            {
                idle = 0;
            }
            else if (++idle < SpinsBeforeSleep)
            {
                Thread.SpinWait(20);
            }
            else
            {
                Sleep();
                idle = 0;
            }
        }
    }

    private void Sleep()
    {
        var seen = Volatile.Read(ref _ticket);
        Interlocked.Increment(ref _sleeping);
        // A job that was published before the sleeper was counted would not wake it.
        if (Volatile.Read(ref _ticket) == seen && (int)(uint)seen >= Volatile.Read(ref _parts)) _wake.Wait();
        Interlocked.Decrement(ref _sleeping);
    }
}
