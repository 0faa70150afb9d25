namespace Nephos.LocalStorage.Block;

/// <summary>Tells when everybody who was reading at some moment has left, so that what they might still use can be deleted.</summary>
/// <remarks>Time is cut into phases. A reader counts itself in the phase it enters. What is taken out of the structure in phase p can be seen by
/// readers of p and of p - 1, never by those who enter p + 1; a phase begins only when the last but one has no readers left, so in phase p + 2
/// nobody has it. Entering and leaving cost one atomic addition each, spread over cache lines; nobody ever waits.</remarks>
internal sealed class ReaderGate
{
    private const int Stripes = 16;
    private const int LongsPerLine = 16;

    // Of each stripe the readers of the even and of the odd phases.
    private readonly long[] _readers = new long[Stripes * LongsPerLine];
    private long _phase;

    /// <summary>The phase of what is taken out now. Of no use before the taking out is visible to others.</summary>
    public long Phase => Interlocked.Read(ref _phase);

    public Visit Enter()
    {
        var stripe = (Environment.CurrentManagedThreadId & (Stripes - 1)) * LongsPerLine;
        while (true)
        {
            var phase = Volatile.Read(ref _phase);
            ref var count = ref _readers[stripe + (int)(phase & 1)];
            Interlocked.Increment(ref count);
            if (Volatile.Read(ref _phase) == phase) return new Visit(ref count);
            Interlocked.Decrement(ref count);
        }
    }

    /// <summary>Whether nobody can have what was taken out in the phase any more. Begins new phases as readers leave. One caller at a time.</summary>
    public bool IsOver(long phase)
    {
        while (Phase < phase + 2)
        {
            var before = (int)((Phase + 1) & 1);
            for (var stripe = 0; stripe < Stripes; stripe++)
                if (Interlocked.Read(ref _readers[stripe * LongsPerLine + before]) != 0) return false;
            Interlocked.Increment(ref _phase);
        }
        return true;
    }

    /// <summary>The time a reader uses the structure.</summary>
    public readonly ref struct Visit(ref long count)
    {
        private readonly ref long _count = ref count;

        public void Dispose() => Interlocked.Decrement(ref _count);
    }
}
