using Tessera.Tensors.Threading;

namespace Tessera.Tensors.Tests.Threading;

public class ThreadTeamTests
{
    public static TheoryData<int> ThreadCounts => [1, 2, 3, 8];

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Every_part_of_every_one_of_a_hundred_thousand_tiny_jobs_is_done_once(int threads)
    {
        var team = new ThreadTeam(threads);
        var random = new CounterRandom(1);
        var done = new int[17];
        var expected = new int[17];
        for (var job = 0; job < 100_000; job++)
        {
            var parts = random.Below(17, (ulong)job);
            for (var part = 0; part < parts; part++) expected[part]++;
            var work = new Counting { Done = done };
            team.Run(ref work, parts);
            Assert.Equal(expected[0], Volatile.Read(ref done[0]));
        }

        Assert.Equal(expected, done);
    }

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Callers_at_once_and_jobs_inside_jobs_each_get_all_their_parts(int threads)
    {
        var team = new ThreadTeam(threads);
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, caller =>
        {
            for (var job = 0; job < 2000; job++)
            {
                var done = new int[9];
                var work = new Nesting { Team = team, Done = done };
                team.Run(ref work, 3);
                Assert.All(done, count => Assert.Equal(1, count));
            }
        });
    }

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void An_exception_reaches_the_caller_as_it_is_and_the_team_works_on(int threads)
    {
        var team = new ThreadTeam(threads);
        for (var bad = 0; bad < 7; bad++)
        {
            var breaking = new Breaking { Bad = bad };
            var error = Assert.Throws<ShapeException>(() => { var work = breaking; team.Run(ref work, 7); });
            Assert.Equal($"part {bad}", error.Message);
            var done = new int[5];
            var counting = new Counting { Done = done };
            team.Run(ref counting, 5);
            Assert.All(done, count => Assert.Equal(1, count));
        }
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1025")]
    [InlineData("1000000000")]
    [InlineData("99999999999999999999")]
    [InlineData("2.5")]
    [InlineData(" ")]
    [InlineData("two")]
    public void A_number_of_threads_that_is_none_is_refused(string text) => Assert.Equal(
        $"TESSERA_THREADS must be a number from 1 to 1024, found '{text}'",
        Assert.Throws<InvalidOperationException>(() => ThreadTeam.Wanted(text)).Message);

    [Fact]
    public void Without_a_number_there_is_a_thread_a_processor()
    {
        Assert.Equal(Environment.ProcessorCount, ThreadTeam.Wanted(null));
        Assert.Equal(Environment.ProcessorCount, ThreadTeam.Wanted(""));
        Assert.Equal(7, ThreadTeam.Wanted("7"));
    }

    [Fact]
    public void Threads_that_went_to_sleep_wake_for_the_next_job()
    {
        var team = new ThreadTeam(3);
        var threads = new HashSet<int>();
        for (var job = 0; job < 20; job++)
        {
            Thread.Sleep(10); // longer than they spin
            var work = new Waiting { Threads = threads };
            team.Run(ref work, 3);
        }

        Assert.True(threads.Count >= 2, "the sleepers never worked");
    }

    [Fact]
    public void Threads_without_work_sleep_soon()
    {
        var team = new ThreadTeam(4);
        var done = new int[8];
        for (var job = 0; job < 10; job++)
        {
            var work = new Counting { Done = done };
            team.Run(ref work, 8);
            Assert.True(SpinWait.SpinUntil(() => team.Sleeping == 3, TimeSpan.FromSeconds(10)), $"{team.Sleeping} of 3 threads sleep");
        }

        Assert.All(done, count => Assert.Equal(10, count));
        Assert.Equal(10, team.Passes);
    }

    [Fact]
    public void A_job_that_nobody_else_has_time_for_is_done_by_its_caller()
    {
        var team = new ThreadTeam(32); // many more than processors
        var done = new int[64];
        for (var job = 0; job < 200; job++)
        {
            var work = new Counting { Done = done };
            team.Run(ref work, 64);
        }

        Assert.All(done, count => Assert.Equal(200, count));
    }

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Starting_a_job_allocates_nothing(int threads)
    {
        var team = new ThreadTeam(threads);
        var done = new int[4];
        var work = new Counting { Done = done };
        for (var job = 0; job < 100; job++) team.Run(ref work, 4);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var job = 0; job < 1000; job++) team.Run(ref work, 4);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private struct Counting : IParallelWork
    {
        public int[] Done;

        public readonly void Run(int part) => Interlocked.Increment(ref Done[part]);
    }

    private struct Nesting : IParallelWork
    {
        public ThreadTeam Team;
        public int[] Done;

        public readonly void Run(int part)
        {
            var inner = new Offset { Done = Done, Start = 3 * part };
            Team.Run(ref inner, 3);
        }
    }

    private struct Offset : IParallelWork
    {
        public int[] Done;
        public int Start;

        public readonly void Run(int part) => Interlocked.Increment(ref Done[Start + part]);
    }

    private struct Breaking : IParallelWork
    {
        public int Bad;

        public readonly void Run(int part)
        {
            if (part == Bad) throw new ShapeException($"part {part}");
        }
    }

    private struct Waiting : IParallelWork
    {
        public HashSet<int> Threads;

        public readonly void Run(int part)
        {
            lock (Threads) Threads.Add(Environment.CurrentManagedThreadId);
            Thread.Sleep(2);
        }
    }
}
