using System.Runtime.InteropServices;

namespace Tessera.Cli;

/// <summary>
/// Ctrl-C and SIGTERM. The first asks the command to stop, which it does where nothing is lost: training saves a checkpoint first. What
/// is being saved is never disturbed by a second one; the third ends the program at once. A command that saves nothing is ended by the
/// second, or when it has not stopped <see cref="Patience"/> after the first.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    /// <summary>How long a command that saves nothing may take to stop.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly bool _saves;
    private readonly Timer _timer;
    private int _received;

    /// <summary>Listens until it is disposed.</summary>
    /// <param name="saves">Whether the command saves before it stops.</param>
    public StopSignals(bool saves)
    {
        _saves = saves;
        _timer = new Timer(_ => End(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Receive), PosixSignalRegistration.Create(PosixSignal.SIGTERM, Receive),
        ];
    }

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _timer.Dispose();
        _stop.Dispose();
    }

    private void Receive(PosixSignalContext context)
    {
        context.Cancel = true; // the system's own answer is to end the process
        switch (Interlocked.Increment(ref _received))
        {
            case 1:
                if (!_saves) _timer.Change(Patience, Timeout.InfiniteTimeSpan);
                ThreadPool.QueueUserWorkItem(_ => Stop()); // what listens to the token must not hold up later signals
                break;
            case 2 when _saves:
                Console.Error.WriteLine("tessera: is stopping and saves first; a third signal ends it at once");
                break;
            default:
                End();
                break;
        }
    }

    private void Stop()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The command has ended meanwhile.
        }
    }

    private void End()
    {
        Console.Error.WriteLine(_saves ? "tessera: ended at once; what was being saved is lost" : "tessera: stopped");
        Environment.Exit(CommandRunner.Interrupted);
    }
}
