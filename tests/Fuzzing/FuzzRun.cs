using System.Runtime.InteropServices;

namespace Nephos.Fuzzing;

/// <summary>An input that a target did not take as it should.</summary>
internal sealed record FuzzFinding(string Target, int Seed, long Number, byte[] Input, string What);

/// <summary>Runs inputs of a target one after the other, and looks at how each ends and at how long it takes.</summary>
internal sealed partial class FuzzRun(FuzzTarget target, int seed, TimeProvider time)
{
    private const int ThreadProcessorClock = 3; // CLOCK_THREAD_CPUTIME_ID
    private static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(30);

    private long _current = -1;
    private long _since;

    /// <summary>The slowest input so far.</summary>
    public TimeSpan Slowest { get; private set; }

    public long SlowestNumber { get; private set; }

    /// <summary>Runs the inputs from <paramref name="first"/> on.</summary>
    /// <param name="onHang">Told of an input that does not end at all; it cannot be stopped, so the process should.</param>
    /// <returns>The first that crashed or was too slow; null when none did.</returns>
    public FuzzFinding? Run(long first, long count, Action<FuzzFinding> onHang)
    {
        _since = time.GetTimestamp();
        using var watch = time.CreateTimer(
            _ =>
            {
                var number = Interlocked.Read(ref _current);
                if (number >= 0 && time.GetElapsedTime(Interlocked.Read(ref _since)) > HangLimit)
                {
                    onHang(new FuzzFinding(target.Name, seed, number, Mutator.InputOf(target, seed, number), $"still runs after {HangLimit.TotalSeconds:f0} s"));
                }
            },
            null, HangLimit, HangLimit);
        for (var number = first; number < first + count; number++)
        {
            Interlocked.Exchange(ref _since, time.GetTimestamp());
            Interlocked.Exchange(ref _current, number);
            var input = Mutator.InputOf(target, seed, number);
            if (Try(input, out var took) is { } failure)
            {
                return new FuzzFinding(target.Name, seed, number, input, failure);
            }
            if (took > Slowest)
            {
                (Slowest, SlowestNumber) = (took, number);
            }
        }
        Interlocked.Exchange(ref _current, -1);
        return null;
    }

    /// <summary>Runs one input.</summary>
    /// <returns>What is wrong with how it went; null when nothing is.</returns>
    public string? Try(byte[] input, out TimeSpan took)
    {
        try
        {
            took = Measure(input);
            // Once may be a collection or a method that is compiled; three times is the input.
            for (var again = 0; again < 2 && took > target.Limit; again++)
            {
                var next = Measure(input);
                took = next < took ? next : took;
            }
            return took > target.Limit ? $"takes {took.TotalMilliseconds:f1} ms of processor time; {target.Limit.TotalMilliseconds:f0} are allowed" : null;
        }
        catch (Exception failure)
        {
            took = default;
            return failure.ToString();
        }
    }

    private TimeSpan Measure(byte[] input)
    {
        var copy = input.ToArray();
        var before = ProcessorTime();
        target.Run(copy);
        return ProcessorTime() - before;
    }

    private static TimeSpan ProcessorTime()
    {
        ClockGetTime(ThreadProcessorClock, out var now);
        return TimeSpan.FromSeconds(now.Seconds) + TimeSpan.FromMicroseconds(now.Nanoseconds / 1000.0);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ClockGetTime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
