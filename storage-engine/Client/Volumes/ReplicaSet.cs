namespace Nephos.Client.Volumes;

/// <summary>The name of a set of devices that hold the same volumes: their ids, joined. A single device is a set of one.</summary>
public static class ReplicaSet
{
    /// <summary>Replicas of a volume where there are devices enough.</summary>
    public const int Replicas = 3;

    private const char Separator = '+';

    public static string NameOf(IEnumerable<string> deviceIds) => string.Join(Separator, deviceIds);

    public static IReadOnlyList<string> Members(string name) => name.Split(Separator);
}

/// <summary>How the epochs that the volume service grants appear at replicas: each as one for the storage nodes' own control, and a greater one for the head.</summary>
/// <remarks>So a storage node that settles a volume after a seal, and a head that was granted the same number, can never both write.</remarks>
public static class ReplicaEpochs
{
    public static long OfControl(long granted) => checked(2 * granted);

    public static long OfHead(long granted) => checked(2 * granted + 1);
}
