(* units that keep the piece that they had at init: s over what it was is c q + d, with q between its extremes *)
Lemma above_between l_ q_ h_ c_ d_ : l_ <= q_ <= h_ -> 0 < c_ * l_ + d_ -> 0 < c_ * h_ + d_ -> 0 < c_ * q_ + d_.
Proof. intros Q_ L_ H_; destruct (Rle_dec 0 c_); nra. Qed.
Lemma above_moved s_ c_ w_ d_ : 0 < s_ -> 0 < c_ * (w_ / s_) + d_ -> 0 < c_ * w_ + d_ * s_.
Proof. intros S_ P_. replace (c_ * w_ + d_ * s_) with (s_ * (c_ * (w_ / s_) + d_)) by (field; lra). apply Rmult_lt_0_compat; assumption. Qed.
Lemma never_above_moved s_ c_ w_ d_ : s_ < 0 -> 0 < c_ * (w_ / s_) + d_ -> c_ * w_ + d_ * s_ < 0.
Proof. intros S_ P_. replace (c_ * w_ + d_ * s_) with (s_ * (c_ * (w_ / s_) + d_)) by (field; lra). nra. Qed.
Ltac all_moved := repeat match goal with
  | S : 0 < ?s, P : 0 < ?c * (?w / ?s) + ?d |- _ => pose proof (above_moved s c w d S P); clear P
  | S : ?s < 0, P : 0 < ?c * (?w / ?s) + ?d |- _ => pose proof (never_above_moved s c w d S P); clear P end.
Ltac all_known := repeat match goal with E : _ = _ |- _ => rewrite E; clear E end.
(* where it is not above 0 at an extreme, a unit has left its piece: some unit has the least q, and some the greatest *)
Lemma sum_some n_ e_ t_ : (forall i_, (i_ < n_)%nat -> e_ i_ = 0 \/ e_ i_ = 1 /\ 0 < t_ i_) ->
  sum n_ e_ = 0 \/ 0 < sum n_ e_ /\ 0 < sum n_ (fun i_ => e_ i_ * t_ i_).
Proof. induction n_ as [|n_ I_]; intros R_; [left; reflexivity | simpl]. destruct (I_ ltac:(intros; apply R_; lia)) as [Z_|[U_ V_]].
  - assert (X_ : sum n_ (fun i_ => e_ i_ * t_ i_) = 0).
    { rewrite (sum_ext n_ _ (fun _ => 0)); [apply sum_zero | intros j_ J_]. destruct (R_ j_ ltac:(lia)) as [->|[E_ _]]; [ring |].
      pose proof (sum_above n_ e_ j_ J_ ltac:(intros k_ K_; destruct (R_ k_ ltac:(lia)) as [->|[-> _]]; lra) ltac:(lra)); lra. }
    rewrite Z_, X_. destruct (R_ n_ ltac:(lia)) as [->|[-> T_]]; [left; ring | right; split; lra].
  - right. destruct (R_ n_ ltac:(lia)) as [->|[-> T_]]; split; lra. Qed.
Lemma least_is n_ f_ : (0 < n_)%nat -> exists i_, (i_ < n_)%nat /\ least n_ f_ = f_ i_.
Proof. intros P_; destruct n_ as [|n_]; [lia | clear P_]. induction n_ as [|n_ (i_ & I_ & E_)]; [exists 0%nat; split; [lia | reflexivity] |].
  change (exists i_, (i_ < S (S n_))%nat /\ Rmin (least (S n_) f_) (f_ (S n_)) = f_ i_).
  unfold Rmin; destruct (Rle_dec (least (S n_) f_) (f_ (S n_))); [exists i_; split; [lia | exact E_] | exists (S n_); split; [lia | reflexivity]]. Qed.
Lemma greatest_is n_ f_ : (0 < n_)%nat -> exists i_, (i_ < n_)%nat /\ greatest n_ f_ = f_ i_.
Proof. intros P_; destruct n_ as [|n_]; [lia | clear P_]. induction n_ as [|n_ (i_ & I_ & E_)]; [exists 0%nat; split; [lia | reflexivity] |].
  change (exists i_, (i_ < S (S n_))%nat /\ Rmax (greatest (S n_) f_) (f_ (S n_)) = f_ i_).
  unfold Rmax; destruct (Rle_dec (greatest (S n_) f_) (f_ (S n_))); [exists (S n_); split; [lia | reflexivity] | exists i_; split; [lia | exact E_]]. Qed.
