namespace Nephos.Client.Volumes;

/// <summary>How long repair rests between two steps, so that the requests of the guest go first.</summary>
/// <param name="requests">How many the guest has made.</param>
internal sealed class RepairPace(Func<long> requests)
{
    /// <summary>While the guest works, repair has this part of the time: one of so many.</summary>
    private const int Share = 4;

    /// <summary>One slow step must not stop repair for long.</summary>
    private static readonly TimeSpan RestMax = TimeSpan.FromMilliseconds(200);

    private long _seen;

    /// <param name="took">What the last step took.</param>
    /// <returns>Zero while the guest asks for nothing.</returns>
    public TimeSpan RestAfter(TimeSpan took)
    {
        var made = requests();
        var isIdle = made == _seen;
        _seen = made;
        if (isIdle) return TimeSpan.Zero;
        var rest = took * (Share - 1);
        return rest < RestMax ? rest : RestMax;
    }
}
