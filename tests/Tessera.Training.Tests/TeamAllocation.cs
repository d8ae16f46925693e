using Tessera.Tensors.Threading;

namespace Tessera.Testing;

/// <summary>What the calling thread and the threads that work for it have allocated, to the byte. Other threads of the process,
/// such as the test runner's, do not count.</summary>
internal static class TeamAllocation
{
    /// <summary>Managed bytes allocated while an action runs.</summary>
    public static long During(Action action)
    {
        var before = Now();
        action();
        return Now() - before;
    }

    private static unsafe long Now()
    {
        var team = ThreadTeam.Shared;
        var bytes = stackalloc long[team.Threads];
        var arrived = 0;
        var roll = new RollCall { Bytes = bytes, Arrived = &arrived, Threads = team.Threads };
        team.Run(ref roll, team.Threads);
        var sum = 0L;
        for (var i = 0; i < team.Threads; i++) sum += bytes[i];
        return sum;
    }

    /// <summary>A part waits for all others, so that each thread takes one.</summary>
    private unsafe struct RollCall : IParallelWork
    {
        public long* Bytes;
        public int* Arrived;
        public int Threads;

        public readonly void Run(int part)
        {
            Bytes[part] = GC.GetAllocatedBytesForCurrentThread();
            Interlocked.Increment(ref *Arrived);
            var deadline = Environment.TickCount64 + 30_000;
            while (Volatile.Read(ref *Arrived) < Threads)
            {
                if (Environment.TickCount64 > deadline)
                    throw new InvalidOperationException("the team did not come together: other work has it");
                Thread.Yield();
            }
        }
    }
}
