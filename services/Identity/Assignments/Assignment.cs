namespace Nephos.Identity.Assignments;

internal enum ActorKind
{
    User,
    Group,
}

internal enum TargetKind
{
    Project,
    Domain,
    System,
}

internal readonly record struct Actor(ActorKind Kind, string Id)
{
    public static Actor User(string id) => new(ActorKind.User, id);

    public static Actor Group(string id) => new(ActorKind.Group, id);

    public override string ToString() => (Kind == ActorKind.User ? "u/" : "g/") + Id;
}

internal readonly record struct Target(TargetKind Kind, string Id)
{
    public static readonly Target System = new(TargetKind.System, "all");

    public static Target Project(string id) => new(TargetKind.Project, id);

    public static Target Domain(string id) => new(TargetKind.Domain, id);

    public override string ToString() => Kind switch
    {
        TargetKind.Project => "p/" + Id,
        TargetKind.Domain => "d/" + Id,
        TargetKind.System => "s/" + Id,
        _ => throw new ArgumentOutOfRangeException(nameof(Kind), Kind, "The kind of target is not known."),
    };
}

/// <summary>An actor has a role on a target.</summary>
/// <param name="Inherited">On the projects below the target, and not on the target itself.</param>
internal sealed record Assignment(Actor Actor, Target Target, string RoleId, bool Inherited)
{
    public string Key => KeyPrefix(Actor, Target, Inherited) + RoleId;

    /// <summary>All assignments of an actor.</summary>
    public static string KeyPrefix(Actor actor) => $"{actor}/";

    /// <summary>The assignments of an actor on a target, of one of the two sorts.</summary>
    public static string KeyPrefix(Actor actor, Target target, bool inherited) => $"{actor}/{target}/{(inherited ? 'i' : 'd')}/";
}
